//! Apache Parquet, read and written a batch at a time.

use std::{fs::File, path::Path, sync::Arc};

use arrow_array::{
    Array, ArrayRef, BooleanArray, Date32Array, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array,
    LargeStringArray, RecordBatch, StringArray, StringViewArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray, TimestampSecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use arrow_schema::{DataType, Schema, TimeUnit};
use parquet::{
    arrow::{
        ProjectionMask,
        arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder},
    },
    errors::ParquetError,
};

use super::{
    BATCH, Batch, Column, Field, Kind,
    read::{Input, Rows, no_column, wrong_kind},
};
use crate::error::{Error, Result, Tried};

/// What a file says its columns hold. Those of kinds that are no values (lists, structs, bytes) are left out.
pub(super) fn fields(input: &Input) -> Result<Vec<Field>> {
    let builder = builder(input)?;
    let kinds = builder.schema().fields().iter();
    Ok(kinds.filter_map(|field| kind(field.data_type()).map(|kind| Field::new(field.name(), kind))).collect())
}

/// How many rows a file has.
pub(super) fn count(path: &Path) -> Result<u64> {
    let input = Input { path: path.to_owned(), name: path.display().to_string(), format: super::Format::Parquet };
    Ok(u64::try_from(builder(&input)?.metadata().file_metadata().num_rows()).unwrap_or_default())
}

/// Arrow's own batches of these columns, and where in them each is.
fn open_plain(input: &Input, names: &[String], batch: usize) -> Result<(ParquetRecordBatchReader, Vec<usize>)> {
    project(builder(input)?, input, names, batch)
}

fn project(
    builder: ParquetRecordBatchReaderBuilder<File>,
    input: &Input,
    names: &[String],
    batch: usize,
) -> Result<(ParquetRecordBatchReader, Vec<usize>)> {
    let there: Vec<String> = builder.schema().fields().iter().map(|field| field.name().clone()).collect();
    let place = |name: &String| there.iter().position(|it| it == name).ok_or_else(|| no_column(input, name, &there));
    let roots = names.iter().map(place).collect::<Result<Vec<_>>>()?;
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots.iter().copied());
    // The reader keeps the file's order whatever order was asked for.
    let mut read: Vec<usize> = roots.clone();
    read.sort_unstable();
    read.dedup();
    let order = roots.iter().map(|root| read.partition_point(|it| it < root)).collect();
    Ok((builder.with_projection(mask).with_batch_size(batch).build().map_err(|e| Error::from(e).file(&input.name))?, order))
}

/// Arrow's own batches of these columns, and where in them each is, with texts as places in a list of different ones, as most writers keep them: each is then looked at once.
pub(crate) fn open_coded(input: &Input, names: &[String], batch: usize) -> Result<(ParquetRecordBatchReader, Vec<usize>)> {
    let of_file = |error: ParquetError| Error::from(error).file(&input.name);
    let file = File::open(&input.path).tried("open", &input.name)?;
    let plain = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new().with_skip_arrow_metadata(true)).map_err(of_file)?;
    let coded = |field: &arrow_schema::FieldRef| {
        if *field.data_type() != DataType::Utf8 {
            return Arc::clone(field);
        }
        let coded = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        Arc::new(field.as_ref().clone().with_data_type(coded))
    };
    let schema: Vec<_> = plain.schema().fields().iter().map(coded).collect();
    let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(schema)));
    let coded = ArrowReaderMetadata::try_new(Arc::clone(plain.metadata()), options).map_err(of_file)?;
    project(ParquetRecordBatchReaderBuilder::new_with_metadata(file, coded), input, names, batch)
}

pub(super) fn read(input: &Input, fields: &Arc<[Field]>) -> Result<Rows> {
    let names: Vec<String> = fields.iter().map(|field| field.name.clone()).collect();
    let (reader, order) = open_plain(input, &names, BATCH)?;
    let (input, fields) = (input.clone(), Arc::clone(fields));
    let mut before = 0;
    Ok(Box::new(reader.map(move |batch| {
        let batch = batch.map_err(|error| Error::from(error).file(&input.name))?;
        let convert = |(field, at): (&Field, &usize)| column(&input, before, field, batch.column(*at));
        let columns = fields.iter().zip(&order).map(convert).collect::<Result<Vec<_>>>()?;
        before += batch.num_rows() as u64;
        Ok(Batch::new(Arc::clone(&fields), columns))
    })))
}

/// Arrow's types are taken from the file's own, not from what its writer kept beside them: dictionaries are plain texts here.
fn builder(input: &Input) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let file = File::open(&input.path).tried("open", &input.name)?;
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).map_err(|error| Error::from(error).file(&input.name))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "Arrow has many types, and a few are values of ours")]
fn kind(of: &DataType) -> Option<Kind> {
    match of {
        DataType::Boolean => Some(Kind::Boolean),
        DataType::Float32 | DataType::Float64 => Some(Kind::Float),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Timestamp(..) | DataType::Date32 => {
            Some(Kind::String)
        }
        of if of.is_integer() => Some(Kind::Integer),
        _ => None,
    }
}

fn column(input: &Input, before: u64, field: &Field, array: &ArrayRef) -> Result<Column> {
    let plain = plain(array).ok_or_else(|| {
        let what = format!("{} is no kind of value; write true or false, numbers, texts or timestamps", array.data_type());
        Error::new(what).column(&field.name).file(&input.name)
    })?;
    if plain.kind() == field.kind {
        return Ok(plain);
    }
    let mut column = Column::empty(field.kind);
    for (row, cell) in plain.cells().enumerate() {
        if !column.push(cell) {
            return Err(wrong_kind(input, before + row as u64 + 1, field, &cell.text().unwrap_or_default()));
        }
    }
    Ok(column)
}

/// An Arrow array as a column of ours; nothing where it holds no values of ours.
#[expect(clippy::wildcard_enum_match_arm, reason = "Arrow has many types, and a few are values of ours")]
pub(crate) fn plain(array: &ArrayRef) -> Option<Column> {
    macro_rules! take {
        ($array:ty, $as:expr) => {
            array.as_any().downcast_ref::<$array>()?.iter().map(|value| value.map($as)).collect()
        };
    }
    Some(match array.data_type() {
        DataType::Boolean => Column::Booleans(take!(BooleanArray, |value| value)),
        DataType::Int8 => Column::Integers(take!(Int8Array, i64::from)),
        DataType::Int16 => Column::Integers(take!(Int16Array, i64::from)),
        DataType::Int32 => Column::Integers(take!(Int32Array, i64::from)),
        DataType::Int64 => Column::Integers(take!(Int64Array, |value| value)),
        DataType::UInt8 => Column::Integers(take!(UInt8Array, i64::from)),
        DataType::UInt16 => Column::Integers(take!(UInt16Array, i64::from)),
        DataType::UInt32 => Column::Integers(take!(UInt32Array, i64::from)),
        DataType::UInt64 => Column::Integers(take!(UInt64Array, |value| i64::try_from(value).unwrap_or(i64::MAX))),
        DataType::Float32 => Column::Floats(take!(Float32Array, f64::from)),
        DataType::Float64 => Column::Floats(take!(Float64Array, |value| value)),
        DataType::Utf8 => Column::Strings(take!(StringArray, str::to_owned)),
        DataType::LargeUtf8 => Column::Strings(take!(LargeStringArray, str::to_owned)),
        DataType::Utf8View => Column::Strings(take!(StringViewArray, str::to_owned)),
        DataType::Date32 => Column::Strings(take!(Date32Array, |days| instant(i128::from(days) * 86_400_000_000_000))),
        DataType::Timestamp(TimeUnit::Second, _) => {
            Column::Strings(take!(TimestampSecondArray, |at| instant(i128::from(at) * 1_000_000_000)))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            Column::Strings(take!(TimestampMillisecondArray, |at| instant(i128::from(at) * 1_000_000)))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            Column::Strings(take!(TimestampMicrosecondArray, |at| instant(i128::from(at) * 1_000)))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            Column::Strings(take!(TimestampNanosecondArray, |at| instant(i128::from(at))))
        }
        _ => return None,
    })
}

/// A moment as RFC 3339 has it, in UTC.
fn instant(nanoseconds: i128) -> String {
    jiff::Timestamp::from_nanosecond(nanoseconds).map(|at| at.to_string()).unwrap_or_default()
}

/// A batch of ours as one of Arrow's.
pub(super) fn arrow(batch: &Batch, schema: &arrow_schema::SchemaRef) -> Result<RecordBatch> {
    let array = |at: usize| -> ArrayRef {
        match batch.column(at) {
            Column::Booleans(values) => Arc::new(values.iter().copied().collect::<BooleanArray>()),
            Column::Integers(values) => Arc::new(values.iter().copied().collect::<Int64Array>()),
            Column::Floats(values) => Arc::new(values.iter().copied().collect::<Float64Array>()),
            Column::Strings(values) => Arc::new(values.iter().map(Option::as_deref).collect::<StringArray>()),
        }
    };
    Ok(RecordBatch::try_new(Arc::clone(schema), (0..batch.fields().len()).map(array).collect())?)
}

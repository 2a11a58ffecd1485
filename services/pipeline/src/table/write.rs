//! Rows into files.

use std::{fs::File, io::BufWriter, path::Path, sync::Arc};

use arrow_schema::{DataType, Schema};
use parquet::{arrow::ArrowWriter, basic::Compression, file::properties::WriterProperties};

use super::{Batch, Column, Field, Format, Kind, cell::float_text, parquet::arrow};
use crate::error::{Error, Result, Tried};

/// How many rows are held until they are written: what a writer takes of memory is bounded by this.
const GROUP: usize = 65_536;

/// Where rows go.
pub(crate) trait Sink {
    /// Takes some rows.
    fn write(&mut self, batch: &Batch) -> Result<()>;
    /// Ends the file.
    fn close(self: Box<Self>) -> Result<()>;
}

/// A file of rows in that format.
pub(crate) fn writer(path: &Path, format: Format, fields: &[Field]) -> Result<Box<dyn Sink>> {
    let file = File::create(path).tried("create", path.display())?;
    match format {
        Format::Csv => Ok(Box::new(CsvWriter::new(BufWriter::with_capacity(1 << 16, file), fields)?)),
        Format::Parquet => parquet_writer(path, fields),
        Format::JsonLines => Err(Error::new("rows are not written as JSON lines; say csv or parquet")),
    }
}

/// A Parquet file of rows. The same rows give the same bytes.
pub(crate) fn parquet_writer(path: &Path, fields: &[Field]) -> Result<Box<dyn Sink>> {
    let file = File::create(path).tried("create", path.display())?;
    let columns: Vec<_> = fields.iter().map(|field| arrow_schema::Field::new(&field.name, data_type(field.kind), true)).collect();
    let schema = Arc::new(Schema::new(columns));
    let properties =
        WriterProperties::builder().set_compression(Compression::SNAPPY).set_max_row_group_row_count(Some(GROUP)).build();
    let writer = ArrowWriter::try_new(BufWriter::new(file), Arc::clone(&schema), Some(properties))?;
    Ok(Box::new(ParquetWriter { writer, schema }))
}

fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::Boolean => DataType::Boolean,
        Kind::Integer => DataType::Int64,
        Kind::Float => DataType::Float64,
        Kind::String => DataType::Utf8,
    }
}

struct ParquetWriter {
    writer: ArrowWriter<BufWriter<File>>,
    schema: arrow_schema::SchemaRef,
}

impl Sink for ParquetWriter {
    fn write(&mut self, batch: &Batch) -> Result<()> {
        Ok(self.writer.write(&arrow(batch, &self.schema)?)?)
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.writer.close()?;
        Ok(())
    }
}

/// Rows as values between commas.
pub(crate) struct CsvWriter<W: std::io::Write> {
    writer: ::csv::Writer<W>,
}

impl<W: std::io::Write> CsvWriter<W> {
    /// Begins with a heading.
    pub(crate) fn new(to: W, fields: &[Field]) -> Result<Self> {
        let mut writer = ::csv::Writer::from_writer(to);
        writer.write_record(fields.iter().map(|field| &field.name)).map_err(|error| unwritten(&error))?;
        Ok(Self { writer })
    }
}

impl<W: std::io::Write> Sink for CsvWriter<W> {
    fn write(&mut self, batch: &Batch) -> Result<()> {
        for row in 0..batch.rows() {
            for at in 0..batch.fields().len() {
                let text = match batch.column(at) {
                    Column::Floats(values) => values[row].map(float_text).map(std::borrow::Cow::Owned),
                    column @ (Column::Booleans(_) | Column::Integers(_) | Column::Strings(_)) => column.cell(row).text(),
                };
                self.writer.write_field(text.as_deref().unwrap_or_default()).map_err(|error| unwritten(&error))?;
            }
            self.writer.write_record(None::<&[u8]>).map_err(|error| unwritten(&error))?;
        }
        Ok(())
    }

    fn close(mut self: Box<Self>) -> Result<()> {
        self.writer.flush().map_err(|error| Error::new(format!("cannot write rows: {error}")))
    }
}

fn unwritten(error: &::csv::Error) -> Error {
    Error::new(format!("cannot write rows: {error}"))
}

//! Rows out of Parquet files: `switchyard-pipeline count`, the processor time of the whole process.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use anyhow::{Context as _, ensure};
use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use switchyard_drift::WindowCounts;

use super::rows::{Draw, NAMES, NUMBERS, columns, profile};
use crate::cpu::Cpu;

/// How often the file is counted in one run, so that starting the program does not matter.
const TIMES: u32 = 8;

/// Rows that the program counts in a second of its own processor time.
pub(super) fn per_second(rows: u32, program: Option<&Path>) -> anyhow::Result<f64> {
    let folder = std::env::temp_dir().join(format!("switchyard-drift-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let counted = counted(rows, &folder, &program.map_or_else(beside, Path::to_path_buf));
    // What cannot be removed is left to the system.
    let _ = std::fs::remove_dir_all(&folder);
    counted
}

fn beside() -> PathBuf {
    let name = "switchyard-pipeline";
    std::env::current_exe()
        .ok()
        .map(|file| file.with_file_name(name))
        .filter(|file| file.is_file())
        .unwrap_or_else(|| name.into())
}

fn counted(rows: u32, folder: &Path, program: &Path) -> anyhow::Result<f64> {
    let (file, reference) = (folder.join("rows.parquet"), folder.join("profile.json"));
    write(rows, &file)?;
    std::fs::write(&reference, serde_json::to_vec(&profile()?)?)?;
    let before = Cpu::of_children();
    let output = Command::new(program).arg("count").arg("--profile").arg(&reference).args((0..TIMES).map(|_| &file)).output();
    let output = output.with_context(|| format!("{} cannot be run; build it first", program.display()))?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let processor = Cpu::of_children().saturating_sub(before);
    let window: WindowCounts = serde_json::from_slice(&output.stdout)?;
    let all = u64::from(rows) * u64::from(TIMES);
    ensure!(window.rows() == all, "{} rows were counted, not {all}", window.rows());
    Ok(f64::from(rows) * f64::from(TIMES) / processor.as_secs_f64())
}

/// A file as data tools write it: dictionaries for names, Snappy.
fn write(rows: u32, file: &Path) -> anyhow::Result<()> {
    let mut draw = Draw(4);
    let names = (0..NAMES).map(|_| Arc::new(StringArray::from_iter_values((0..rows).map(|_| draw.name()))) as ArrayRef);
    let names: Vec<ArrayRef> = names.collect();
    let numbers = (0..NUMBERS).map(|_| Arc::new(Float64Array::from_iter_values((0..rows).map(|_| draw.number()))) as ArrayRef);
    let batch = RecordBatch::try_from_iter(columns().into_iter().zip(names.into_iter().chain(numbers.collect::<Vec<_>>())))?;
    let properties = parquet::file::properties::WriterProperties::builder().set_compression(parquet::basic::Compression::SNAPPY);
    let mut writer = ArrowWriter::try_new(File::create(file)?, batch.schema(), Some(properties.build()))?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(())
}

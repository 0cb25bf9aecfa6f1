// Package tabular reads tables of numbers and texts: a CSV or Parquet file of any size, row by row, in bounded memory.
//
//	bytes ─► guard (a row's size) ─► encoding/csv ─► numbers, missing values
//
// A file is read exactly, or refused with the line and column of the error: a reference with
// guessed values would be used for months. Only the delimiter, the header and the columns of text
// are guessed, from the file's first rows, and options override that.
package tabular

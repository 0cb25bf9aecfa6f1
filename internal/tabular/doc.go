// Package tabular reads tables of numbers: a CSV file of any size, row by row, in
// memory that is bounded whatever the file holds.
//
//	bytes ─► guard (a row's size) ─► encoding/csv ─► numbers, missing values
//
// A file is taken as it is or refused with the line and column of what is wrong:
// a reference that was read by guessing would be compared with for months. What is
// guessed, the delimiter, the header and which columns are text, comes from the
// file's first rows and can be told instead.
package tabular

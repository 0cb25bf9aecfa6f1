// Package offline is what the command line does with data files, without a gateway:
// it makes a profile of a table, computes the outputs that the table lacks, judges a
// table as a gateway would, and judges a window of the journal again.
package offline

// Package offline does the command line's work on data files without a gateway: it makes a profile
// of a table, computes the outputs that the table does not have, judges a table like a gateway, and
// judges a window of the journal again.
package offline

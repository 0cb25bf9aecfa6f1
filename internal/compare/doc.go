// Package compare says how answers of a version differ from those of another one: to the same requests
// (Comparison), or as distributions of many answers (Sums).
//
// Whether two rows disagree depends on the kind of the output. Rows of scores disagree if they have different best classes,
// labels and texts if they are not equal, and other numbers if they differ by more than Deviation standard deviations of
// the reference's numbers.
package compare

// Package compare says how answers of a version differ from those of another one: to the same requests
// (Comparison), or as distributions of many answers (Sums).
//
// What a difference is depends on the kind of an output. Rows of scores of classes differ if their best class does,
// labels and text if they are not equal, and other numbers if they are further apart than Deviation standard
// deviations of the reference's.
package compare

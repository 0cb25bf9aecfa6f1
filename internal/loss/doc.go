// Package loss detects that a model predicts worse than it did: concept drift, as the losses of
// labelled rows show it. A loss is from 0 to 1, such as 1 for a wrong class.
//
// A Detector learns the mean loss of a reference, and then bets against the hypothesis that the mean
// loss is at most that of the reference plus a tolerance. It knows no clock and does no I/O. Its
// state is a document that goes on after a restart.
package loss

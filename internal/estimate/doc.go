// Package estimate estimates how good predictions are before their labels are known, from sums
// over a reference whose labels are known. It has the statistics only: it reads no file and keeps
// nothing.
//
//   - Classification: the reference says for each bin of a score how often it came true. The scores
//     of later predictions say how often theirs will (confidence-based performance estimation,
//     CBPE).
//   - Label shift: the shares of the predicted classes, and how the reference's classes are
//     predicted, say how the true classes are distributed (black box shift estimation, BBSE).
//   - Regression: the outputs of a model of the loss say how large the loss is (direct loss
//     estimation, DLE).
package estimate

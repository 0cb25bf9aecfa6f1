package onnxgen

import "sluice.io/sluice/internal/infer"

// TreeEnsemble is a regression by 100 full random trees of depth 6, FP32 [N, 16] → [N, 1]: like
// boosted trees it accesses memory at random.
func TreeEnsemble() *Graph {
	const trees, depth, features = 100, 6, 16
	const inner, all = 1<<depth - 1, 1<<(depth+1) - 1

	var treeIDs, nodeIDs, featureIDs, yes, no []int64
	var leafTrees, leafNodes []int64
	var thresholds, weights []float32
	var modes []string
	rng := Rand(seed)
	for tree := range int64(trees) {
		for i := range int64(all) { // in order of a heap: the children of i are 2i+1 and 2i+2
			treeIDs, nodeIDs = append(treeIDs, tree), append(nodeIDs, i)
			if i < inner {
				modes, thresholds = append(modes, "BRANCH_LEQ"), append(thresholds, float32(rng.NormFloat64()))
				featureIDs = append(featureIDs, rng.Int64N(features))
				yes, no = append(yes, 2*i+1), append(no, 2*i+2)
				continue
			}
			modes, thresholds = append(modes, "LEAF"), append(thresholds, 0)
			featureIDs, yes, no = append(featureIDs, 0), append(yes, 0), append(no, 0)
			leafTrees, leafNodes = append(leafTrees, tree), append(leafNodes, i)
			weights = append(weights, float32(rng.NormFloat64()/trees))
		}
	}

	g := New("tree")
	g.Opset("ai.onnx.ml", mlOpset)
	y := g.OpIn("ai.onnx.ml", "TreeEnsembleRegressor", g.Input("input", infer.FP32, "N", features)).
		Int("n_targets", 1).String("post_transform", "NONE").
		Ints("nodes_treeids", treeIDs...).Ints("nodes_nodeids", nodeIDs...).Strings("nodes_modes", modes...).
		Ints("nodes_featureids", featureIDs...).Floats("nodes_values", thresholds...).
		Ints("nodes_truenodeids", yes...).Ints("nodes_falsenodeids", no...).
		Ints("target_treeids", leafTrees...).Ints("target_nodeids", leafNodes...).
		Ints("target_ids", make([]int64, len(leafNodes))...).Floats("target_weights", weights...)
	g.Output("output", infer.FP32, y, "N", 1)
	return g
}

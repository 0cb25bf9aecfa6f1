package onnxgen

// Field numbers of onnx.proto, by message.
const (
	modelIRVersion, modelProducer, modelGraph, modelOpset, modelMetadata = 1, 2, 7, 8, 14

	opsetDomain, opsetVersion = 1, 2

	graphNode, graphName, graphInitializer, graphInput, graphOutput = 1, 2, 5, 11, 12

	nodeInput, nodeOutput, nodeName, nodeOp, nodeAttribute, nodeDomain = 1, 2, 3, 4, 5, 7

	attributeName, attributeFloat, attributeInt, attributeString, attributeTensor, attributeGraph = 1, 2, 3, 4, 5, 6

	attributeFloats, attributeInts, attributeStrings, attributeType = 7, 8, 9, 20

	tensorDims, tensorType, tensorStrings, tensorName, tensorRaw, tensorExternal, tensorLocation = 1, 2, 6, 8, 9, 13, 14

	entryKey, entryValue = 1, 2

	valueName, valueType = 1, 2

	typeTensor, typeSequence, typeMap, typeOptional = 1, 4, 5, 9

	elementType, elementShape, mapKey, mapValue = 1, 2, 1, 2

	shapeDim, dimValue, dimParam = 1, 1, 2
)

// Values of AttributeProto.AttributeType and TensorProto.DataLocation.
const (
	kindFloat, kindInt, kindString, kindTensor, kindGraph, kindFloats, kindInts, kindStrings = 1, 2, 3, 4, 5, 6, 7, 8

	locationExternal = 1
)

package grpcapi

// DecodedSize is decodedSize, for tests.
var DecodedSize = decodedSize

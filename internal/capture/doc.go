// Package capture keeps a sample of traffic as Parquet files in a bucket.
//
// A Tap copies answered requests of a version into a queue in memory. The Store's Run makes a file
// of a queue that is large or old enough, writes it, and lists it in the model's manifest. What has
// no room in memory is dropped and counted.
package capture

// Package tracing exports requests as OpenTelemetry spans, over OTLP.
//
// A request is selected when it begins, by its caller's decision or by chance. Spans are made from
// its measured times after it has ended: the request itself only puts a record into a bounded
// queue. The goroutine of Run makes the spans and exports them. A receiver that is slow or gone
// costs records, which are counted, and never time.
//
//	request ─► Samples ─► … ─► Record ─► queue ─► Run: spans ─► batch ─► exporter
//	run of several requests ─► RecordRun ──┘
package tracing

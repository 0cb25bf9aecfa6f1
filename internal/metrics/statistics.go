package metrics

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sluice.io/sluice/internal/infer"
)

// maxBatchSizes bounds the batch sizes that are counted separately. The sizes of a version with
// batching are bounded by its maximum; those of others are not.
const maxBatchSizes = 1024

// Statistics are a version's counters as in the statistics extension of the Open Inference
// Protocol.
type Statistics struct {
	LastInference  int64  // Unix time in milliseconds of the last request's end, 0 for none
	InferenceCount uint64 // rows of all runs that succeeded
	ExecutionCount uint64 // runs that succeeded

	Success Total // from arrival to answer
	Fail    Total
	Refused uint64 // failures of requests whose values the model refused
	// Failures by Triton's reasons; all others have the reason OTHER.
	Rejected, Canceled, Backend uint64
	// The parts of the successful requests' time. A run's times count once for each of its
	// requests.
	Queue         Total
	ComputeInput  Total
	ComputeInfer  Total
	ComputeOutput Total

	Batches []BatchStatistics // ascending by size
}

// BatchStatistics are the runs of one size.
type BatchStatistics struct {
	Size          uint64 // rows
	ComputeInput  Total
	ComputeInfer  Total
	ComputeOutput Total
}

// Total is how often something happened, and the sum of its times.
type Total struct {
	Count uint64
	NS    uint64 // nanoseconds
}

// statistics are the counters of a version. A snapshot is not atomic: its counters may be a few
// requests apart.
type statistics struct {
	last                         atomic.Int64
	inferences                   atomic.Uint64
	executions                   atomic.Uint64
	success, fail, refused       atomic.Uint64
	rejected, canceled, backend  atomic.Uint64
	successNS, failNS            atomic.Uint64
	queueNS                      atomic.Uint64
	computed                     atomic.Uint64 // successful requests that were part of a run
	inputNS, computeNS, outputNS atomic.Uint64

	// batches is replaced as a whole when a new size appears, so that a look-up takes no lock.
	batches atomic.Pointer[map[int]*batch]
	mu      sync.Mutex // held while batches is replaced
}

// batch counts the runs of one size.
type batch struct {
	runs                         atomic.Uint64
	inputNS, computeNS, outputNS atomic.Uint64
}

func (s *statistics) request(req *infer.Request, err error, elapsed time.Duration) {
	s.last.Store(req.Arrived.Add(elapsed).UnixMilli())
	if err != nil {
		if errors.Is(err, infer.ErrRefused) {
			s.refused.Add(1)
		}
		s.fail.Add(1)
		s.failed(err)
		addNS(&s.failNS, elapsed)
		return
	}
	s.success.Add(1)
	addNS(&s.successNS, elapsed)
	if req.Timing.Rows > 0 {
		s.computed.Add(1)
		addNS(&s.queueNS, req.Timing.Queue)
		addNS(&s.inputNS, req.Timing.Input)
		addNS(&s.computeNS, req.Timing.Compute)
		addNS(&s.outputNS, req.Timing.Output)
	}
}

// failed counts the reason of a failure, unless it is OTHER.
func (s *statistics) failed(err error) {
	switch code := infer.CodeOf(err); {
	case code == infer.Overloaded, code == infer.Unavailable, code == infer.Deadline:
		s.rejected.Add(1)
	case code == infer.Canceled:
		s.canceled.Add(1)
	case code == infer.Internal, errors.Is(err, infer.ErrRefused):
		s.backend.Add(1)
	}
}

func (s *statistics) run(rows int, input, compute, output time.Duration) {
	s.inferences.Add(uint64(max(0, rows)))
	s.executions.Add(1)
	b := s.batch(rows)
	if b == nil {
		return
	}
	b.runs.Add(1)
	addNS(&b.inputNS, input)
	addNS(&b.computeNS, compute)
	addNS(&b.outputNS, output)
}

// addNS adds a duration, except for a negative one of a clock that was set back.
func addNS(total *atomic.Uint64, d time.Duration) {
	if d > 0 {
		total.Add(uint64(d))
	}
}

// batch returns the counters of a size, nil if there are too many sizes.
func (s *statistics) batch(rows int) *batch {
	if all := s.batches.Load(); all != nil {
		if b := (*all)[rows]; b != nil {
			return b
		}
	}
	return s.newBatch(rows)
}

func (s *statistics) newBatch(rows int) *batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := map[int]*batch{}
	if all := s.batches.Load(); all != nil {
		if b := (*all)[rows]; b != nil || len(*all) >= maxBatchSizes {
			return b
		}
		maps.Copy(next, *all)
	}
	b := &batch{}
	next[rows] = b
	s.batches.Store(&next)
	return b
}

func (s *statistics) snapshot() Statistics {
	computed := s.computed.Load()
	return Statistics{
		LastInference:  s.last.Load(),
		InferenceCount: s.inferences.Load(),
		ExecutionCount: s.executions.Load(),
		Success:        Total{s.success.Load(), s.successNS.Load()},
		Fail:           Total{s.fail.Load(), s.failNS.Load()}, Refused: s.refused.Load(),
		Rejected: s.rejected.Load(), Canceled: s.canceled.Load(), Backend: s.backend.Load(),
		Queue:         Total{computed, s.queueNS.Load()},
		ComputeInput:  Total{computed, s.inputNS.Load()},
		ComputeInfer:  Total{computed, s.computeNS.Load()},
		ComputeOutput: Total{computed, s.outputNS.Load()},
		Batches:       s.batchSnapshot(),
	}
}

func (s *statistics) batchSnapshot() []BatchStatistics {
	all := s.batches.Load()
	if all == nil {
		return nil
	}
	list := make([]BatchStatistics, 0, len(*all))
	for rows, b := range *all {
		runs := b.runs.Load()
		list = append(list, BatchStatistics{
			Size:          uint64(max(0, rows)),
			ComputeInput:  Total{runs, b.inputNS.Load()},
			ComputeInfer:  Total{runs, b.computeNS.Load()},
			ComputeOutput: Total{runs, b.outputNS.Load()},
		})
	}
	slices.SortFunc(list, func(a, b BatchStatistics) int { return cmp.Compare(a.Size, b.Size) })
	return list
}

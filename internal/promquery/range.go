package promquery

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

// Series is one that a query has over time.
type Series struct {
	Labels map[string]string
	Values []float64 // one for each step; NaN for none
}

// Range returns the values of a query at a time and at equal steps after it. Values that are not finite are NaN.
func (c *Client) Range(ctx context.Context, query string, first time.Time, step time.Duration, steps int) ([]Series, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	result, _, _, err := c.api.QueryRange(ctx, query, promv1.Range{Start: first, End: first.Add(time.Duration(steps-1) * step), Step: step})
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("prometheus did not answer within %v", c.timeout)
	case err != nil:
		return nil, fmt.Errorf("prometheus: %w", err)
	}
	matrix, ok := result.(model.Matrix)
	if !ok {
		return nil, fmt.Errorf("prometheus has a %s, expected series over time", result.Type())
	}
	list := make([]Series, 0, len(matrix))
	for _, stream := range matrix {
		s := Series{Labels: make(map[string]string, len(stream.Metric)), Values: make([]float64, steps)}
		for name, value := range stream.Metric {
			s.Labels[string(name)] = string(value)
		}
		for i := range s.Values {
			s.Values[i] = math.NaN()
		}
		for _, pair := range stream.Values {
			at := pair.Timestamp.Time().Sub(first) + step/2
			if i := int(at / step); at >= 0 && i < steps && !math.IsInf(float64(pair.Value), 0) {
				s.Values[i] = float64(pair.Value)
			}
		}
		list = append(list, s)
	}
	return list, nil
}

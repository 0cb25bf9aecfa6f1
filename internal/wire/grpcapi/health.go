package grpcapi

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// health answers grpc.health.v1: the readiness of the server, whatever service is named, as
// Triton does.
type health struct {
	grpc_health_v1.UnimplementedHealthServer

	srv *Server
}

func (h health) status() grpc_health_v1.HealthCheckResponse_ServingStatus {
	if h.srv.front.Ready() {
		return grpc_health_v1.HealthCheckResponse_SERVING
	}
	return grpc_health_v1.HealthCheckResponse_NOT_SERVING
}

// Check implements grpc_health_v1.HealthServer.
func (h health) Check(context.Context, *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	return &grpc_health_v1.HealthCheckResponse{Status: h.status()}, nil
}

// watchEvery is how often a watcher's status is looked at.
const watchEvery = time.Second

// Watch implements grpc_health_v1.HealthServer: it tells each change of the status until
// the caller leaves or the stop begins.
func (h health) Watch(_ *grpc_health_v1.HealthCheckRequest, stream grpc.ServerStreamingServer[grpc_health_v1.HealthCheckResponse]) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for last := grpc_health_v1.HealthCheckResponse_UNKNOWN; ; {
		if now := h.status(); now != last {
			if err := stream.Send(&grpc_health_v1.HealthCheckResponse{Status: now}); err != nil {
				return err
			}
			last = now
		}
		select {
		case <-tick.C:
		case <-stream.Context().Done():
			return stream.Context().Err()
		case <-h.srv.stopping:
			return errStopping
		}
	}
}

package grpcapi

import (
	"context"
	"strconv"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/front"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// RepositoryIndex implements pb.GRPCInferenceServiceServer.
func (s *Server) RepositoryIndex(ctx context.Context, in *pb.RepositoryIndexRequest) (*pb.RepositoryIndexResponse, error) {
	if in.GetRepositoryName() != "" {
		return nil, infer.Errorf(infer.Unsupported, "'repository_name' specification is not supported")
	}
	defer s.front.EndControl()
	if err := s.front.BeginControl(); err != nil {
		return nil, err
	}
	out := &pb.RepositoryIndexResponse{}
	for _, m := range front.Visible(s.front.Index(in.GetReady()), exchangeOf(ctx).caller) {
		row := &pb.RepositoryIndexResponse_ModelIndex{Name: m.Name, State: m.State, Reason: m.Reason}
		if m.Version != 0 {
			row.Version = strconv.FormatInt(m.Version, 10)
		}
		out.Models = append(out.Models, row)
	}
	return out, nil
}

// RepositoryModelLoad implements pb.GRPCInferenceServiceServer.
func (s *Server) RepositoryModelLoad(ctx context.Context, in *pb.RepositoryModelLoadRequest) (*pb.RepositoryModelLoadResponse, error) {
	name, err := s.change(ctx, true, in.GetRepositoryName(), in.GetModelName(), in.GetParameters())
	if err != nil {
		return nil, err
	}
	return &pb.RepositoryModelLoadResponse{ModelName: name, IsLoaded: true}, nil
}

// RepositoryModelUnload implements pb.GRPCInferenceServiceServer.
func (s *Server) RepositoryModelUnload(ctx context.Context, in *pb.RepositoryModelUnloadRequest) (*pb.RepositoryModelUnloadResponse, error) {
	name, err := s.change(ctx, false, in.GetRepositoryName(), in.GetModelName(), in.GetParameters())
	if err != nil {
		return nil, err
	}
	return &pb.RepositoryModelUnloadResponse{ModelName: name, IsUnloaded: true}, nil
}

// change loads or unloads a model, and returns its name. KServe's messages have the name in the
// field of Triton's repository_name.
func (s *Server) change(ctx context.Context, load bool, repository, name string, parameters map[string]*pb.ModelRepositoryParameter) (string, error) {
	switch {
	case name == "":
		name = repository
	case repository != "":
		return "", infer.Errorf(infer.Unsupported, "'repository_name' specification is not supported")
	}
	if err := front.CheckName(name); err != nil {
		return "", err
	}
	x := exchangeOf(ctx)
	by, err := front.Actor(x.caller, x.field)
	if err != nil {
		return "", err
	}
	defer s.front.EndControl()
	if err := s.front.BeginControl(); err != nil {
		return "", err
	}
	for parameter := range parameters {
		if err := front.CheckParameter(load, parameter); err != nil {
			return "", err
		}
	}
	return name, s.front.Control(s.base, &front.Change{Load: load, Model: name, By: by, RequestID: []byte(x.id), Triton: s.opts.Triton})
}

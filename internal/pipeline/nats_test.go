package pipeline_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/pipeline"
)

// natsServer runs a NATS server with JetStream until the test ends.
func natsServer(t *testing.T, options *server.Options) *server.Server {
	t.Helper()
	options.Host, options.JetStream, options.StoreDir, options.NoSigs, options.NoLog = "127.0.0.1", true, t.TempDir(), true, true
	s, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the NATS server is not ready")
	}
	return s
}

func TestNATS(t *testing.T) {
	s := natsServer(t, &server.Options{Port: server.RANDOM_PORT, Authorization: "a token of the test"})
	conn, err := nats.Connect(s.ClientURL(), nats.Token("a token of the test"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	q := pipeline.NewNATS(pipeline.NATSOptions{URL: s.ClientURL(), Subject: "train", Token: "a token of the test", Source: "/gateway/test", Timeout: 10 * time.Second})
	if err := q.Publish(t.Context(), "a", "iris", []byte("{}")); infer.CodeOf(err) != infer.Unavailable { // no stream takes the subject
		t.Errorf("got %v", err)
	}
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "TRAIN", Subjects: []string{"train.>"}})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // as after crashes
		if err := q.Publish(t.Context(), "a", "my iris.v2", []byte(`{"format":1}`)); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Publish(t.Context(), "b", "wine", []byte(`{"format":1}`)); err != nil {
		t.Fatal(err)
	}
	info, err := stream.Info(t.Context())
	if err != nil || info.State.Msgs != 2 {
		t.Fatalf("%+v %v", info.State, err)
	}
	m, err := stream.GetMsg(t.Context(), 1)
	if err != nil || m.Subject != "train.my%20iris%2Ev2" || string(m.Data) != `{"format":1}` || m.Header.Get("Nats-Msg-Id") != "a" || m.Header.Get("ce-type") != api.TypeRetrainRequested {
		t.Errorf("%+v %v", m, err)
	}

	bad := pipeline.NewNATS(pipeline.NATSOptions{URL: s.ClientURL(), Subject: "train", Token: "another", Source: "/", Timeout: 10 * time.Second})
	if err := bad.Publish(t.Context(), "c", "iris", nil); infer.CodeOf(err) != infer.Unavailable {
		t.Errorf("got %v", err)
	}
}

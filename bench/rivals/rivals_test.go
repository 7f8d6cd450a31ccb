package rivals_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/bench/rivals"
	"galaxy/gamemaster/internal/devstack"
	"galaxy/gamemaster/internal/devstack/rtmsim"
	"galaxy/gamemaster/internal/devstack/stacktest"
)

func TestMain(m *testing.M) { stacktest.Main(m) }

// patience bounds waits for what takes milliseconds on an idle machine.
const patience = 30 * time.Second

const (
	oldImage = "engine:1.4.2"
	newImage = "engine:1.4.3"
)

// server is one of the servers of package rivals.
type server func(context.Context, io.Writer) error

// all are the rivals: their servers, the door last, and whether they put back what
// they began.
var all = map[string]struct {
	servers  []server
	temporal bool
	undoes   bool
}{
	"floor": {servers: []server{rivals.ServeFloor}},
	"saga":  {servers: []server{rivals.ServeSagaWorker, rivals.ServeSagaAPI}, temporal: true, undoes: true},
	"queue": {servers: []server{rivals.ServeQueueWorker(rivals.QueueCooldown), rivals.ServeQueueAPI(rivals.QueueCooldown)}, undoes: true},
}

// rig is a rival with a game.
type rig struct {
	*testing.T
	url       string
	simulator *rtmsim.Simulator
	database  *pgx.Conn
}

func newRig(t *testing.T, servers []server, temporal bool) *rig {
	r := &rig{T: t, simulator: rtmsim.New()}
	manager := httptest.NewServer(r.simulator)
	t.Cleanup(manager.Close)
	t.Cleanup(r.simulator.Close)
	t.Setenv("RTM_URL", manager.URL)
	t.Setenv("DATABASE_URL", stacktest.Database(t))
	if temporal {
		server, err := devstack.StartTemporal(t.Context(), devstack.TemporalOptions{Headless: true})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, server.Close()) })
		t.Setenv("TEMPORAL_ADDRESS", server.Address())
	}
	r.layGame()
	for _, serve := range servers {
		r.serve(serve)
	}
	return r
}

func (r *rig) layGame() {
	var err error
	r.database, err = pgx.Connect(r.Context(), os.Getenv("DATABASE_URL"))
	require.NoError(r, err)
	r.Cleanup(func() { _ = r.database.Close(context.Background()) })
	r.exec(`INSERT INTO engine_versions (version, image_ref, status) VALUES ('1.4.2', 'engine:1.4.2', 'active'), ('1.4.3', 'engine:1.4.3', 'active')`)
	r.exec(`INSERT INTO runtime_records (game_id, status, current_image_ref, current_engine_version, created_at, updated_at)
		VALUES ('g', 'running', 'engine:1.4.2', '1.4.2', now(), now())`)
	require.NoError(r, r.simulator.PutRuntime("g", oldImage, ""))
}

func (r *rig) exec(statement string) {
	_, err := r.database.Exec(r.Context(), statement)
	require.NoError(r, err)
}

// serve starts a server and waits until it says that it is ready.
func (r *rig) serve(serve server) {
	ctx, cancel := context.WithCancel(context.Background())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := serve(ctx, in)
		done <- err
		_ = in.CloseWithError(io.EOF)
	}()
	r.Cleanup(func() {
		cancel()
		require.NoError(r, <-done)
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		require.NoError(r, <-done)
		r.Fatal("a server ended before it was ready")
	}
	if address, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on "); ok {
		r.url = address
	}
}

// patch asks for the new version, and returns the status and the body.
func (r *rig) patch(version string) (int, string) {
	response, err := http.Post(r.url+"/api/v1/internal/runtimes/g/patch", "application/json", strings.NewReader(`{"version":"`+version+`"}`))
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(body)
}

// require checks what is left: the container's image, the record's version, and
// the outcome of the one row of the audit log.
func (r *rig) require(image, version, outcome string) {
	r.Helper()
	found, ok := r.simulator.Runtime("g")
	require.True(r, ok)
	require.Equal(r, image, found.ImageRef)
	var recorded string
	require.NoError(r, r.database.QueryRow(r.Context(), "SELECT current_engine_version FROM runtime_records").Scan(&recorded))
	require.Equal(r, version, recorded)
	rows, err := r.database.Query(r.Context(), "SELECT outcome FROM operation_log")
	require.NoError(r, err)
	outcomes, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(r, err)
	require.Equal(r, []string{outcome}, outcomes)
}

// TestPatch proves that every rival does the patch that it is measured by.
func TestPatch(t *testing.T) {
	for name, rival := range all {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, rival.servers, rival.temporal)
			status, body := r.patch("1.4.3")
			require.Equal(t, http.StatusOK, status, body)
			require.JSONEq(t, `{"outcome":"success","from_version":"1.4.2","to_version":"1.4.3"}`, body)
			r.require(newImage, "1.4.3", "success")
		})
	}
}

// TestRefusal proves that none touches a game for a version that is not there.
func TestRefusal(t *testing.T) {
	for name, rival := range all {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, rival.servers, rival.temporal)
			status, body := r.patch("1.4.9")
			require.Equal(t, http.StatusServiceUnavailable, status, body)
			r.require(oldImage, "1.4.2", "failure")
		})
	}
}

// TestUndo proves that the saga and the queue put the container back when the
// record turned out to be another by then, which is what they are more than the
// floor for; and that the floor does not.
func TestUndo(t *testing.T) {
	for name, rival := range all {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, rival.servers, rival.temporal)
			require.NoError(t, r.simulator.PutFault(rtmsim.Fault{GameID: "g", Op: rtmsim.OpPatch, Mode: rtmsim.ModeHeld, Name: "held"}))
			answered := make(chan int, 1)
			go func() {
				status, _ := r.patch("1.4.3")
				answered <- status
			}()
			require.Eventually(t, func() bool {
				return r.simulator.Faults()[0].Fired == 1
			}, patience, time.Millisecond)
			r.exec("UPDATE runtime_records SET status = 'stopped'")
			require.True(t, r.simulator.ReleaseFault("held"))
			require.Equal(t, http.StatusServiceUnavailable, <-answered)
			image := newImage
			if rival.undoes {
				image = oldImage
			}
			r.require(image, "1.4.2", "failure")
		})
	}
}

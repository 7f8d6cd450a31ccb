package drill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/rs/zerolog"
)

// linkPatience bounds the wait for a link's port, which somebody else may hold
// for a moment while the link is down.
const linkPatience = 10 * time.Second

// Link is a connection between two parts of the product, through a proxy that
// can spoil it. All methods are safe for concurrent use.
type Link struct {
	name    string
	proxy   *toxiproxy.Proxy
	traffic *traffic

	mu sync.Mutex
	// faults are the toxics that were put.
	faults map[string]*met
}

// Toxic is what a link does to what passes. Only one of each kind and direction
// can be in force.
type Toxic struct {
	// Kind is toxiproxy's word for it.
	Kind string
	// Requests says that it strikes on the way to the server; otherwise it
	// strikes on the way back.
	Requests   bool
	Attributes map[string]any
}

// Latency holds everything up for delay.
func Latency(delay time.Duration) Toxic {
	return Toxic{Kind: "latency", Attributes: map[string]any{"latency": delay.Milliseconds()}}
}

// Swallow lets nothing through, and cuts connections after a while; zero keeps
// them open.
func Swallow(cutAfter time.Duration) Toxic {
	return Toxic{Kind: "timeout", Attributes: map[string]any{"timeout": cutAfter.Milliseconds()}}
}

// ResetPeer resets connections as soon as something is to pass.
func ResetPeer() Toxic { return Toxic{Kind: "reset_peer", Attributes: map[string]any{"timeout": 0}} }

// LimitData cuts every connection after so many bytes.
func LimitData(bytes int) Toxic {
	return Toxic{Kind: "limit_data", Attributes: map[string]any{"bytes": bytes}}
}

// Slice passes everything on in pieces of about size bytes.
func Slice(size int, pause time.Duration) Toxic {
	return Toxic{Kind: "slicer", Attributes: map[string]any{
		"average_size": size, "size_variation": size / 2, "delay": pause.Microseconds(),
	}}
}

// Bandwidth passes so many kilobytes per second.
func Bandwidth(kilobytes int) Toxic {
	return Toxic{Kind: "bandwidth", Attributes: map[string]any{"rate": kilobytes}}
}

// OnRequests is the toxic on the way to the server.
func (toxic Toxic) OnRequests() Toxic {
	toxic.Requests = true
	return toxic
}

// toxiproxy's words for the directions: to the server, and back.
const (
	upstream   = "upstream"
	downstream = "downstream"
)

func (toxic Toxic) stream() string {
	if toxic.Requests {
		return upstream
	}
	return downstream
}

// links makes proxies. toxiproxy wants a server of its own kind for them, which
// is never told to listen.
type links struct{ server *toxiproxy.ApiServer }

func newLinks() links {
	// Some toxics log to standard error, whatever logger they are given. Nothing
	// else here uses this library.
	zerolog.SetGlobalLevel(zerolog.Disabled)
	return links{toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())}
}

// open starts a link to server, a host:port.
func (l links) open(name, server string) (*Link, error) {
	link := &Link{
		name: name, proxy: toxiproxy.NewProxy(l.server, name, "127.0.0.1:0", server),
		traffic: newTraffic(), faults: map[string]*met{},
	}
	if err := link.proxy.Start(); err != nil {
		return nil, fmt.Errorf("link %s: %w", name, err)
	}
	for _, stream := range []string{upstream, downstream} {
		if err := link.add(map[string]any{
			"name": "witness_" + stream, "type": witnessKind, "stream": stream,
			"attributes": map[string]any{"link": link.traffic.id, "stream": stream},
		}); err != nil {
			return nil, errors.Join(err, link.close())
		}
	}
	return link, nil
}

// Address returns where clients connect to; it stays the same.
func (l *Link) Address() string { return l.proxy.Listen }

// Put has the toxic in force from now on, on open connections too, and returns
// its name.
func (l *Link) Put(toxic Toxic) (name string, err error) {
	name = toxic.Kind + "_" + toxic.stream()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.add(map[string]any{
		"name": name, "type": toxic.Kind, "stream": toxic.stream(), "attributes": toxic.Attributes,
	}); err != nil {
		return "", err
	}
	fault := &met{passed: l.traffic.of(toxic.stream())}
	fault.began = fault.passed.Load()
	l.faults[name] = fault
	return name, nil
}

func (l *Link) add(toxic map[string]any) error {
	text, err := json.Marshal(toxic)
	if err == nil {
		_, err = l.proxy.Toxics.AddToxicJson(strings.NewReader(string(text)))
	}
	if err != nil {
		return fmt.Errorf("link %s: toxic %v: %w", l.name, toxic["name"], err)
	}
	return nil
}

// met is what came to a toxic.
type met struct {
	// passed counts what passes in the toxic's direction: it meets nothing else.
	passed *atomic.Int64
	// began is the count when it was put, and bytes what had come to it when it
	// was taken.
	began, bytes int64
	taken        bool
}

// Met returns how many bytes came to the named toxic, as long as no other of its
// kind has been put since.
func (l *Link) Met(name string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	fault, known := l.faults[name]
	switch {
	case !known:
		return 0
	case fault.taken:
		return int(fault.bytes)
	}
	return int(fault.passed.Load() - fault.began)
}

// Take ends the named toxic.
func (l *Link) Take(ctx context.Context, name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.proxy.Toxics.RemoveToxic(ctx, name); err != nil {
		return fmt.Errorf("link %s: toxic %s: %w", l.name, name, err)
	}
	if fault, known := l.faults[name]; known {
		fault.taken, fault.bytes = true, fault.passed.Load()-fault.began
	}
	return nil
}

// Down cuts every connection and refuses new ones until Up.
func (l *Link) Down() { l.proxy.Stop() }

// Up ends Down.
func (l *Link) Up() error {
	var err error
	for deadline := time.Now().Add(linkPatience); time.Now().Before(deadline); time.Sleep(respawnPause) {
		err = l.proxy.Start()
		if err == nil || errors.Is(err, toxiproxy.ErrProxyAlreadyStarted) {
			return nil
		}
	}
	return fmt.Errorf("link %s: %w", l.name, err)
}

// Carried returns how many bytes the link has carried, both ways.
func (l *Link) Carried() int64 { return l.traffic.up.Load() + l.traffic.down.Load() }

func (l *Link) close() error {
	l.proxy.Stop()
	l.traffic.forget()
	return nil
}

// witnessKind is a toxic of our own that does no harm: it counts what passes.
const witnessKind = "drill_witness"

// traffic is what a link has carried, in bytes.
type traffic struct {
	id int64
	// up counts what went to the server, and down what came back.
	up, down atomic.Int64
	// over is closed when the link is.
	over chan struct{}
}

// toxiproxy makes its toxics itself, from JSON: a number is all that leads from
// them to the link.
var (
	trafficIDs atomic.Int64
	trafficOf  sync.Map
)

func newTraffic() *traffic {
	t := &traffic{id: trafficIDs.Add(1), over: make(chan struct{})}
	trafficOf.Store(t.id, t)
	return t
}

// of returns the count of one direction.
func (t *traffic) of(stream string) *atomic.Int64 {
	if stream == upstream {
		return &t.up
	}
	return &t.down
}

func (t *traffic) forget() {
	trafficOf.Delete(t.id)
	close(t.over)
}

// witness is the toxic.
type witness struct {
	Link   int64  `json:"link"`
	Stream string `json:"stream"`
}

func init() { toxics.Register(witnessKind, new(witness)) }

// Pipe passes everything on and counts it. A toxic behind it that has cut the
// connection takes nothing any more: then it waits for the end of the link, and
// lets go of who waits in front of it.
func (w *witness) Pipe(stub *toxics.ToxicStub) {
	found, known := trafficOf.Load(w.Link)
	if !known {
		stub.Close()
		return
	}
	carried := found.(*traffic)
	passed := carried.of(w.Stream)
	for {
		select {
		case <-stub.Interrupt:
			return
		case chunk := <-stub.Input:
			if chunk == nil {
				stub.Close()
				return
			}
			passed.Add(int64(len(chunk.Data)))
			select {
			case stub.Output <- chunk:
			case <-carried.over:
				for range stub.Input {
					continue
				}
				stub.Close()
				return
			}
		}
	}
}

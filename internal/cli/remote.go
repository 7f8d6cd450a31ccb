package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"galaxy/gamemaster/client"
)

// remote are the flags of every command that asks a running API.
type remote struct {
	Server  string        `help:"URL of the API." default:"http://127.0.0.1:8080" env:"GAMEMASTER_SERVER"`
	Token   string        `help:"Bearer token; better given by the environment, where others do not see it. Without one, an API on this machine is sent the development token." env:"GAMEMASTER_TOKEN"`
	CAFile  string        `name:"ca-file" help:"Certificates that the API's has to be signed by, in PEM; the system's by default." type:"path" env:"GAMEMASTER_CA_FILE"`
	Cert    string        `help:"Client certificate to show instead of a token, in PEM." type:"path" env:"GAMEMASTER_CERT"`
	Key     string        `help:"Key of the client certificate, in PEM." type:"path" env:"GAMEMASTER_KEY"`
	Timeout time.Duration `help:"How long the command may take; as long as it needs by default." default:"0s"`
	JSON    bool          `name:"json" help:"Print what the API says, as one JSON document."`
}

// ask calls use with a client of the API and gives its error an exit code.
func (r *remote) ask(p *process, use func(context.Context, *client.Client) error) error {
	games, err := r.client(p)
	if err != nil {
		return misused(err)
	}
	ctx, cancel := context.WithCancel(p.ctx)
	if r.Timeout > 0 {
		ctx, cancel = context.WithTimeout(p.ctx, r.Timeout)
	}
	defer cancel()
	err = use(ctx, games)
	if problem, ok := errors.AsType[*client.Error](err); ok && r.JSON && p.stdout.written == 0 {
		// Programs get what the API says, whatever it is.
		err = errors.Join(err, printJSON(p.stdout, problem.Problem))
	}
	if client.IsCode(err, client.CodeUnauthorized) && r.sendsDevToken() {
		err = fmt.Errorf("%w; the development token was sent, give another by GAMEMASTER_TOKEN", err)
	}
	return answered(err)
}

func (r *remote) client(p *process) (*client.Client, error) {
	options := []client.Option{client.WithUserAgent("gamemaster-cli"), client.WithToken(r.Token)}
	if r.sendsDevToken() {
		options = append(options, client.WithToken(devToken))
	}
	encryption, err := r.tls()
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if encryption != nil {
		transport.TLSClientConfig = encryption
	}
	options = append(options, client.WithHTTPClient(&http.Client{Timeout: client.RequestTimeout, Transport: &notifier{transport, p, r.Server}}))
	if p.reads > 0 {
		options = append(options, client.WithReadTimeout(p.reads))
	}
	return client.New(r.Server, options...)
}

// sendsDevToken reports whether nothing is given to be known by and the API is
// on this machine. The token of development stacks is well known, so that only
// they take it; it is sent to nobody else all the same.
func (r *remote) sendsDevToken() bool {
	if r.Token != "" || r.Cert != "" {
		return false
	}
	at, err := url.Parse(r.Server)
	if err != nil {
		return false
	}
	ip := net.ParseIP(at.Hostname())
	return at.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// tls is nil when the system's own will do.
func (r *remote) tls() (*tls.Config, error) {
	switch {
	case r.CAFile == "" && r.Cert == "" && r.Key == "":
		return nil, nil
	case (r.Cert == "") != (r.Key == ""):
		return nil, errors.New("--cert and --key belong together")
	case !strings.HasPrefix(r.Server, "https://"):
		return nil, errors.New("--ca-file, --cert and --key are of use with https only, see --server")
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if r.CAFile != "" {
		text, err := os.ReadFile(r.CAFile)
		if err != nil {
			return nil, fmt.Errorf("--ca-file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("--ca-file: %s has no certificate in PEM", r.CAFile)
		}
	}
	if r.Cert != "" {
		pair, err := tls.LoadX509KeyPair(r.Cert, r.Key)
		if err != nil {
			return nil, fmt.Errorf("--cert, --key: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

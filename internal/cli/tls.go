package cli

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// tlsFlags say how a listener encrypts.
type tlsFlags struct {
	TLSCert  string `name:"tls-cert" help:"Certificate of the server with its chain, in PEM; read again when it changes." type:"path" env:"GAMEMASTER_TLS_CERT"`
	TLSKey   string `name:"tls-key" help:"Key of the certificate, in PEM." type:"path" env:"GAMEMASTER_TLS_KEY"`
	ClientCA string `name:"client-ca" help:"Certificates that client certificates have to be signed by, in PEM." type:"path" env:"GAMEMASTER_CLIENT_CA"`
}

// config returns the listener's TLS, nil without flags. A client may show a
// certificate, which then has to be signed by the client CA; whether its owner
// may pass is for the gate to say.
func (f tlsFlags) config(logger *slog.Logger) (*tls.Config, error) {
	switch {
	case f.TLSCert == "" && f.TLSKey == "" && f.ClientCA == "":
		return nil, nil
	case f.TLSCert == "":
		return nil, errors.New("--tls-cert is missing beside --tls-key or --client-ca")
	case f.TLSKey == "":
		return nil, errors.New("--tls-key is missing beside --tls-cert")
	}
	pair := &keyPair{certFile: f.TLSCert, keyFile: f.TLSKey, logger: logger}
	if _, err := pair.current(nil); err != nil {
		return nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: pair.current}
	if f.ClientCA == "" {
		return config, nil
	}
	text, err := os.ReadFile(f.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("--client-ca: %w", err)
	}
	config.ClientCAs = x509.NewCertPool()
	if !config.ClientCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("--client-ca: %s has no certificate in PEM", f.ClientCA)
	}
	config.ClientAuth = tls.VerifyClientCertIfGiven
	return config, nil
}

// keyPair is a certificate and its key in files, read again when they change:
// certificates are renewed while the server runs.
type keyPair struct {
	certFile, keyFile string
	logger            *slog.Logger

	mu     sync.Mutex
	looked time.Time
	held   *tls.Certificate
	// stamp is that of the files as they are held; complaint is what was logged
	// of files that cannot be.
	stamp, complaint string
}

// keyPairAge is how long the files are not looked at again: renewals come days
// before a certificate ends.
const keyPairAge = 10 * time.Second

// current returns the certificate. When the files have become unreadable, the
// one before goes on to serve, and the log tells.
func (p *keyPair) current(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held != nil && time.Since(p.looked) < keyPairAge {
		return p.held, nil
	}
	p.looked = time.Now()
	stamp := stampOf(p.certFile) + stampOf(p.keyFile)
	if p.held != nil && stamp == p.stamp {
		return p.held, nil
	}
	loaded, err := tls.LoadX509KeyPair(p.certFile, p.keyFile)
	switch {
	case err == nil:
		if p.held != nil {
			p.logger.Info("the certificate was renewed")
		}
		p.held, p.stamp, p.complaint = &loaded, stamp, ""
	case p.held == nil:
		return nil, fmt.Errorf("--tls-cert, --tls-key: %w", err)
	case p.complaint != err.Error():
		// Said once, and tried again all the same.
		p.complaint = err.Error()
		p.logger.Error("the certificate was changed and cannot be read, the one before goes on to serve", "err", p.complaint)
	}
	return p.held, nil
}

// stampOf changes when the file does.
func stampOf(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(info.ModTime().UnixNano(), info.Size(), ";")
}

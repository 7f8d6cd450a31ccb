package cli_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/cli"
)

// pairOf returns a certificate with that serial number, and its key, in PEM.
func pairOf(t *testing.T, serial int64) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	require.NoError(t, err)
	text, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text})
}

// TestCertificateIsRenewed proves that a certificate which changes is served
// without a restart, that one which cannot be read leaves the one before in use
// and is complained of once, and that it is tried again also when the file heals
// without looking any different.
func TestCertificateIsRenewed(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	write := func(file string, text []byte) { require.NoError(t, os.WriteFile(file, text, 0o600)) }
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		first, firstKey := pairOf(t, 1)
		write(certFile, first)
		write(keyFile, firstKey)
		serve := cli.Certificates(certFile, keyFile, slog.New(slog.NewJSONHandler(&log, nil)))
		serial := func() int64 {
			t.Helper()
			<-time.After(cli.KeyPairAge) // of the bubble's clock
			served, err := serve(nil)
			require.NoError(t, err)
			parsed, err := x509.ParseCertificate(served.Certificate[0])
			require.NoError(t, err)
			return parsed.SerialNumber.Int64()
		}
		require.EqualValues(t, 1, serial())

		second, secondKey := pairOf(t, 2)
		write(certFile, bytes.Repeat([]byte("x"), len(second)))
		looks, err := os.Stat(certFile)
		require.NoError(t, err)
		write(keyFile, secondKey)
		for range 3 {
			require.EqualValues(t, 1, serial())
		}
		require.Equal(t, 1, strings.Count(log.String(), `"level":"ERROR"`))

		write(certFile, second)
		require.NoError(t, os.Chtimes(certFile, looks.ModTime(), looks.ModTime()))
		require.EqualValues(t, 2, serial())
		require.Contains(t, log.String(), "was renewed")
	})
}

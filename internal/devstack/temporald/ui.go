package main

import (
	"fmt"
	"os"
	"strings"

	uiserver "github.com/temporalio/ui-server/v2/server"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	uioptions "github.com/temporalio/ui-server/v2/server/server_options"
)

// startUI serves the web UI in the background. It talks to this server's frontend and to nothing else: the news feed is
// off, no origin beside its own is allowed, and the cookie works over plain HTTP.
func startUI(o *options) *uiserver.Server {
	server := uiserver.NewServer(uioptions.WithConfigProvider(&uiconfig.Config{
		TemporalGRPCAddress: o.dialAddress(),
		Host:                bracketed(o.uiIP),
		Port:                o.uiPort,
		PublicPath:          o.uiPublicPath,
		EnableUI:            true,
		DefaultNamespace:    o.namespaces[0],
		Codec:               uiconfig.Codec{Endpoint: o.uiCodec},
		CORS:                uiconfig.CORS{CookieInsecure: true},
		DisableNewsFetch:    true,
		HideLogs:            true,
	}))
	go func() {
		// Start logs and ends the process itself when it cannot listen; the error is only for the day it changes.
		if err := server.Start(); err != nil {
			fmt.Fprintln(os.Stderr, "temporald: web UI:", err)
			os.Exit(1)
		}
	}()
	return server
}

// bracketed is an IP the way the UI server needs it, which glues host and port together with a colon.
func bracketed(ip string) string {
	if strings.Contains(ip, ":") {
		return "[" + ip + "]"
	}
	return ip
}

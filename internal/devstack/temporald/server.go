package main

import (
	"fmt"
	"net"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/metrics"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/temporal"
)

// clusterName is start-dev's, so that a database file can move between the two programs.
const clusterName = "active"

// dynamicDefaults are the settings in which a server of one shard and one user differs from a cluster. Each can be
// overridden by --dynamic-config-value, and with the value null left to the server's own default.
var dynamicDefaults = map[string]any{
	// The queue processors poll 20 times a second per shard. A cluster has hundreds of shards; with one or few every
	// hand-over of a task would wait up to 50 ms, and five activities in a row take half a second instead of 50 ms.
	// Nothing waits for the visibility queue, which stays at 20: of a run that is over by then only its end is written.
	"history.transferProcessorMaxPollRPS": 2000,
	"history.timerProcessorMaxPollRPS":    2000,
	"history.outboundProcessorMaxPollRPS": 2000,

	// What the UI offers an operator: pausing a workflow is off by default, updates are on and stay so.
	"frontend.WorkflowPauseEnabled":                       true,
	"frontend.enableUpdateWorkflowExecution":              true,
	"frontend.enableUpdateWorkflowExecutionAsyncAccepted": true,

	// One host does what a cluster spreads, hence start-dev's limits. Its forceSearchAttributesCacheRefreshOnRead is left
	// out: on SQL an attribute is added as an alias in its namespace, and what would be read anew with each use never
	// changes.
	"frontend.persistenceMaxQPS": 10000,
	"history.persistenceMaxQPS":  45000,

	"history.hostLevelCacheMaxSize":     8096,  // start-dev's: fewer cached workflows, less memory
	"frontend.namespaceRPS.visibility":  100,   // the UI refreshes its lists often
	"frontend.enableServerVersionCheck": false, // would call a server on the internet
}

// newServer assembles the four Temporal services in this process over the given store.
func newServer(o *options, st *store) (temporal.Server, error) {
	conf, hosts, err := serverConfig(o, st)
	if err != nil {
		return nil, err
	}
	logger := newLogger(o)
	claims, err := authorization.GetClaimMapperFromConfig(&conf.Global.Authorization, logger)
	if err != nil {
		return nil, fmt.Errorf("claim mapper: %w", err)
	}
	authorizer, err := authorization.GetAuthorizerFromConfig(&conf.Global.Authorization)
	if err != nil {
		return nil, fmt.Errorf("authorizer: %w", err)
	}
	server, err := temporal.NewServer(
		temporal.WithConfig(conf),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(hosts),
		temporal.WithLogger(logger),
		temporal.WithAuthorizer(authorizer),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper { return claims }),
		temporal.WithDynamicConfigClient(dynamicConfig(o)),
	)
	if err != nil {
		return nil, fmt.Errorf("assembling the Temporal server: %w", err)
	}
	return server, nil
}

// newLogger writes to standard error. At "never" only the server's last words are left: they end the process, and
// switching them off would leave it running without a listener.
func newLogger(o *options) log.Logger {
	conf := log.Config{Level: o.logLevel, Format: "console"}
	if o.logLevel == "never" {
		conf.Level = "fatal"
	}
	if o.logFormat == "json" {
		conf.Format = "json"
	}
	return log.NewZapLogger(log.BuildZapLogger(conf))
}

func dynamicConfig(o *options) dynamicconfig.StaticClient {
	values := make(dynamicconfig.StaticClient, len(dynamicDefaults)+len(o.dynamicConfig))
	for key, value := range dynamicDefaults {
		values[dynamicconfig.MakeKey(key)] = value
	}
	for key, value := range o.dynamicConfig {
		if value == nil {
			delete(values, dynamicconfig.MakeKey(key))
			continue
		}
		values[dynamicconfig.MakeKey(key)] = value
	}
	return values
}

// serverConfig is the configuration and the fixed addresses of its services. Only the frontend listens where it was
// told to; the others stay on loopback ports of their own, whatever --ip says.
func serverConfig(o *options, st *store) (*config.Config, map[primitives.ServiceName]static.Hosts, error) {
	ports, err := freePorts(3)
	if err != nil {
		return nil, nil, err
	}
	conf := &config.Config{
		Persistence:         st.persistence(),
		ClusterMetadata:     clusterConfig(o),
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		PublicClient:        config.PublicClient{HostPort: o.dialAddress()},
		Services: map[string]config.Service{
			string(primitives.FrontendService): {RPC: config.RPC{GRPCPort: o.port, BindOnIP: o.ip, HTTPPort: o.httpPort}},
			string(primitives.HistoryService):  internalService(ports[0]),
			string(primitives.MatchingService): internalService(ports[1]),
			string(primitives.WorkerService):   internalService(ports[2]),
		},
	}
	conf.Global.Membership = config.Membership{MaxJoinDuration: 30 * time.Second, BroadcastAddress: broadcastAddress(o)}
	conf.Archival.History.State = "disabled"
	conf.Archival.Visibility.State = "disabled"
	conf.NamespaceDefaults.Archival.History.State = "disabled"
	conf.NamespaceDefaults.Archival.Visibility.State = "disabled"
	if o.metricsPort != 0 {
		conf.Global.Metrics = &metrics.Config{Prometheus: &metrics.PrometheusConfig{
			ListenAddress: hostPort(o.ip, o.metricsPort), HandlerPath: "/metrics",
		}}
	}
	return conf, map[primitives.ServiceName]static.Hosts{
		primitives.FrontendService: static.SingleLocalHost(o.dialAddress()),
		primitives.HistoryService:  static.SingleLocalHost(hostPort(loopback, ports[0])),
		primitives.MatchingService: static.SingleLocalHost(hostPort(loopback, ports[1])),
		primitives.WorkerService:   static.SingleLocalHost(hostPort(loopback, ports[2])),
	}, nil
}

func internalService(port int) config.Service {
	return config.Service{RPC: config.RPC{GRPCPort: port, BindOnIP: loopback}}
}

// clusterConfig describes a cluster of one. On a database that has been used before, the server keeps the identity it
// finds there and only logs that the fresh one differs.
func clusterConfig(o *options) *cluster.Config {
	info := cluster.ClusterInformation{
		Enabled:                true,
		InitialFailoverVersion: 1,
		RPCAddress:             o.dialAddress(),
		ClusterID:              uuid.NewString(),
	}
	if o.httpPort != 0 {
		info.HTTPAddress = hostPort(o.ip, o.httpPort)
	}
	return &cluster.Config{
		FailoverVersionIncrement: 10,
		MasterClusterName:        clusterName,
		CurrentClusterName:       clusterName,
		ClusterInformation:       map[string]cluster.ClusterInformation{clusterName: info},
	}
}

func broadcastAddress(o *options) string {
	host, _, err := net.SplitHostPort(o.dialAddress())
	if err != nil {
		return loopback
	}
	return host
}

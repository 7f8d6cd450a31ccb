package rtm

// NewTransport is the client's own transport.
var NewTransport = newTransport

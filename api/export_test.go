package api

import "github.com/gin-gonic/gin"

// NewWith is [New] over another document.
func NewWith(options Options, document []byte) (*Server, error) {
	loaded, err := loadContract(document)
	if err != nil {
		return nil, err
	}
	return newServer(options, loaded)
}

// Routes are what the server's router serves.
func (server *Server) Routes() gin.RoutesInfo { return server.router().Routes() }

// Told is how a code is told: its title and status.
type Told struct {
	Status int
	Title  string
}

// Answers are all codes with how they are told.
func Answers() map[string]Told {
	all := map[string]Told{}
	for code, known := range answers {
		all[string(code)] = Told{known.status, known.title}
	}
	return all
}

// Cursor is the place in a list itself, for the fuzz target.
type Cursor = cursor

// What the fuzz targets look at by itself.
var (
	EncodeCursor = encodeCursor
	DecodeCursor = decodeCursor
)

// PlaceFits reports for which lists a cursor is a place: runtimes, operations,
// patches and drift.
func PlaceFits(c Cursor) [4]bool {
	return [...]bool{timeAndKey(c), timeAndID(c), pageToken(c), onlyID(c)}
}

// ReadKey reads an Idempotency-Key.
func ReadKey(text string) (key string, ok bool) {
	key, problem := readKey(text)
	return key, problem == nil
}

// Preferred reads a Prefer: the seconds to wait, and what was applied.
func Preferred(text string) (seconds float64, applied string) {
	p := preferenceOf(text)
	return p.wait.Seconds(), p.applied
}

// CallersKept is how many callers' rates are kept in mind.
func (server *Server) CallersKept() int {
	server.limits.mu.Lock()
	defer server.limits.mu.Unlock()
	return len(server.limits.callers)
}

// Times that have to fit into each other.
const (
	RequestTimeout = requestTimeout
	LookTimeout    = lookTimeout
	StartTimeout   = startTimeout
	NoteTimeout    = noteTimeout
	ClaimLease     = claimLease
	KeyTimeout     = keyTimeout
	WriteTimeout   = writeTimeout
	DrainTimeout   = drainTimeout
	AnswerTimeout  = answerTimeout
	MaxReads       = maxReads
)

// Fingerprint is what is kept of a request.
var Fingerprint = fingerprintOf

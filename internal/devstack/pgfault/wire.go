package pgfault

import (
	"encoding/binary"
	"fmt"
	"io"
	"regexp"

	"github.com/jackc/pgx/v5/pgproto3"
)

// maxMessage bounds one message as Postgres itself does, so that a stray client
// of another protocol does not have gigabytes set aside for it.
const maxMessage = 1 << 30

// maxStartup bounds the first messages, as Postgres does.
const maxStartup = 10_000

// frame is one message as it came.
type frame struct {
	kind byte // 0 in the first messages of a client, which have none
	body []byte
	raw  []byte
}

// readFrame reads one message. io.EOF means that there is none.
func readFrame(from io.Reader, typed bool) (frame, error) {
	head, most := make([]byte, 4, 5), int64(maxStartup)
	if typed {
		head, most = head[:5], maxMessage
	}
	if _, err := io.ReadFull(from, head); err != nil {
		return frame{}, err
	}
	lengthAt := len(head) - 4
	length := int64(binary.BigEndian.Uint32(head[lengthAt:])) // counts itself
	if length < 4 || length > most {
		return frame{}, fmt.Errorf("a message of %d bytes", length)
	}
	raw := append(make([]byte, 0, int64(lengthAt)+length), head...)
	raw = raw[:cap(raw)]
	if _, err := io.ReadFull(from, raw[len(head):]); err != nil {
		return frame{}, io.ErrUnexpectedEOF
	}
	f := frame{body: raw[len(head):], raw: raw}
	if typed {
		f.kind = head[0]
	}
	return f, nil
}

// Codes that stand where the first message of a client has its version.
const (
	sslRequest = 80877103
	gssRequest = 80877104
)

// code returns the version or request code of a first message.
func (f frame) code() uint32 {
	if len(f.body) < 4 {
		return 0
	}
	return binary.BigEndian.Uint32(f.body)
}

// encode returns messages of our own making as bytes. They are small and
// complete, so that they cannot fail to be encoded.
func encode(messages ...pgproto3.Message) []byte {
	var raw []byte
	for _, message := range messages {
		encoded, err := message.Encode(raw)
		if err != nil {
			panic(fmt.Sprintf("pgfault: encode %T: %v", message, err))
		}
		raw = encoded
	}
	return raw
}

// ending are the SQLSTATEs with which Postgres ends the connection: those of an
// operator's intervention but a cancelled query, a transaction that stood idle
// for too long, too many clients.
var ending = regexp.MustCompile(`^(57P0\d|25P03|25P04|53300)$`)

// fatal is the severity of errors that end the connection.
const fatal = "FATAL"

// failure is the injected error that is named name; last says that Postgres ends
// the connection with it.
func failure(code, name string) (message *pgproto3.ErrorResponse, last bool) {
	severity := "ERROR"
	if last = ending.MatchString(code); last {
		severity = fatal
	}
	return &pgproto3.ErrorResponse{
		Severity: severity, SeverityUnlocalized: severity, Code: code,
		Message: fmt.Sprintf("injected by fault %q", name),
	}, last
}

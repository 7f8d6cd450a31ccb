package drill

// KeptOf writes the chunks into the log of a process and returns what is kept of
// it from a place on.
func KeptOf(place int, chunks ...string) (text string, truncated bool) {
	book := newLogBook("test")
	for _, chunk := range chunks {
		_, _ = book.Write([]byte(chunk)) // it never fails
	}
	return book.kept(place)
}

// MaxLog is how much is kept of a log, in bytes.
const MaxLog = maxLog

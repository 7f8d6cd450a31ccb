package drill

// OpenLink opens a link to server, a host:port, and returns how to close it.
func OpenLink(server string) (opened *Link, close func() error, err error) {
	opened, err = newLinks().open("test", server)
	if err != nil {
		return nil, nil, err
	}
	return opened, opened.close, nil
}

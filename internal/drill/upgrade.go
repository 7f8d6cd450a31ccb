package drill

// UseBinary has the process run another gamemaster from its next start on, as a
// roll-out does.
func (p *Process) UseBinary(path string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.options.Binary = path
}

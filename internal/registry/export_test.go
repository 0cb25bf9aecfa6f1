package registry

// WhileWriting calls f while a writer has not ended, as if its disk were slow.
func (r *Repository) WhileWriting(f func()) {
	r.writing.Lock()
	defer r.writing.Unlock()
	f()
}

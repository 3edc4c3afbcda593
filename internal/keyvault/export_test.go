package keyvault

// Route is one method of one path, for tests that visit them all.
type Route struct {
	Verb, Pattern string
	Body, Heavy   bool
	MakesKey      bool
}

// Routes are all routes of the server.
func (s *Server) Routes() []Route {
	var all []Route
	for _, r := range s.routes() {
		for _, m := range r.Methods() {
			all = append(all, Route{m.Verb, r.Pattern(), m.Do.ReadsBody(), m.Do.IsHeavy(), m.Do.IsKeyMaker()})
		}
	}
	return all
}

// APIVersions are all versions that are accepted.
var APIVersions = apiVersions

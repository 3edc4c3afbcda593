// Package budget bounds the work that is in flight: of all, and of each holder, so
// that nobody can take what everybody needs. It knows neither what the work is nor
// who the holders are: both are its user's, as pipeline is.
package budget

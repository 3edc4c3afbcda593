// Package datadir keeps the data folder for its owner alone, and what lies in it
// for one process. What lies there is left to those who put it there.
package datadir

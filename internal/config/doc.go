// Package config is the one documented set of settings: a YAML file, then the
// environment for what is secret. It is checked whole, with every mistake named;
// an unknown key is a mistake. What a setting does is left to the package that gets it.
package config

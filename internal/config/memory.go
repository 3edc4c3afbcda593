package config

// Memory says what keeps keys in memory from swap.
type Memory struct {
	Lock string `yaml:"lock,omitempty"` // auto (zero): lock all memory where the system lets us; on: no start without; off
}

func (s Memory) check(m *mistakes) { m.oneOf("memory.lock", s.Lock, "auto", "on", "off") }

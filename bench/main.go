package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

// plan says how long and how much to measure.
type plan struct {
	window  time.Duration // of one measurement
	rounds  int           // of each pair, alternating
	objects int           // certificates for the measurements of memory and start-up
	binary  string        // "": build it
	only    string        // "": everything
	op      string        // of keys; "": all
	against string        // another build to compare with; "": none
}

func main() {
	var p plan
	quick := flag.Bool("quick", false, "short windows, one round, 2,000 certificates")
	bare := flag.String("bare", "", "internal: be the bare handler for the files in this folder")
	keygen := flag.Duration("keygen", 0, "internal: generate RSA-2048 keys in this process for that long")
	keys := flag.String("keys", "", "internal: the folder with the keys for -compute")
	compute := flag.String("compute", "", "internal: do what this operation computes, for each request to -bare or with -keys alone")
	flag.DurationVar(&p.window, "window", 3*time.Second, "length of one measurement")
	flag.IntVar(&p.rounds, "rounds", 3, "rounds of each pair")
	flag.IntVar(&p.objects, "objects", 10_000, "certificates for memory and start-up")
	flag.StringVar(&p.binary, "coffer", "", "binary to measure (default: built from this tree)")
	flag.StringVar(&p.only, "only", "", "measure one part: reads, writes, mixed, hostile, scale, keys")
	flag.StringVar(&p.op, "op", "", "measure one operation of -only keys or -against, such as \"sign ES256\"")
	flag.StringVar(&p.against, "against", "", "compare with this other coffer binary, and measure nothing else")
	flag.Parse()
	if *quick {
		p.window, p.rounds, p.objects = time.Second, 1, 2000
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	switch {
	case *bare != "":
		err = serveBare(ctx, *bare, *compute)
	case *compute != "":
		err = printCompute(ctx, *keys, *compute, p.window)
	case *keygen > 0:
		err = generateKeys(ctx, *keygen)
	default:
		err = measure(ctx, p)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

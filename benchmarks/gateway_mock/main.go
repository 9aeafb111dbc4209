// The two ends between which the gateway benchmark puts gateways, as two processes of one program:
//
//	gateway-mock engine -listen 127.0.0.1:0       an OpenAI engine that costs next to nothing
//	gateway-mock load -url URL -requests 1000     callers in a closed loop, who check every reply
//
// Compiled, because on a machine of two cores whatever they take is missing to the gateway between them.
package main

import (
	"fmt"
	"os"
)

func main() {
	commands := map[string]func([]string) error{"engine": engine, "load": load}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: gateway-mock engine|load [flags]")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "gateway-mock:", err)
		os.Exit(1)
	}
}

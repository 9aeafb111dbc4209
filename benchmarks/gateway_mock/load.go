package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	replyDeadline = 60 * time.Second
	requestBytes  = 1024
)

// report is what load prints, as JSON.
type report struct {
	Requests  int            `json:"requests"`
	Seconds   float64        `json:"seconds"`
	Failures  map[string]int `json:"failures"`  // why, and how often
	Latencies []int64        `json:"latencies"` // of the good replies, to their last byte, in µs
	Chunks    int            `json:"chunks"`    // events with text or an end, of streams
	Reads     int            `json:"reads"`     // how often the network had something of a reply
}

// caller has one request in flight at a time, on one connection that it keeps.
type caller struct {
	host       string
	request    []byte
	stream     bool
	connection *countedConnection
	reader     *bufio.Reader
	report     report
}

// load sends requests in a closed loop and prints a report.
func load(arguments []string) error {
	flags := flag.NewFlagSet("load", flag.ExitOnError)
	base := flags.String("url", "", "base URL, without /v1")
	model := flags.String("model", "benchmark", "the model to ask for")
	token := flags.String("token", "", "bearer token")
	inFlight := flags.Int("in-flight", 1, "callers")
	requests := flags.Int64("requests", 1, "of all callers together")
	streaming := flags.Bool("stream", false, "ask for streams")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	target, err := url.Parse(*base)
	if err != nil || target.Host == "" {
		return fmt.Errorf("-url must be http://host:port, not %q", *base)
	}
	request := requestFor(target.Host, *model, *token, *streaming)
	callers := make([]*caller, *inFlight)
	var taken atomic.Int64
	var running sync.WaitGroup
	started := time.Now()
	for number := range callers {
		one := &caller{host: target.Host, request: request, stream: *streaming}
		one.report.Failures = map[string]int{}
		callers[number] = one
		running.Go(func() {
			defer one.hangUp()
			for taken.Add(1) <= *requests {
				one.ask()
			}
		})
	}
	running.Wait()
	seconds := time.Since(started).Seconds()
	return json.NewEncoder(os.Stdout).Encode(sum(callers, seconds))
}

func sum(callers []*caller, seconds float64) report {
	total := report{Seconds: seconds, Failures: map[string]int{}, Latencies: []int64{}}
	for _, one := range callers {
		total.Requests += one.report.Requests
		total.Latencies = append(total.Latencies, one.report.Latencies...)
		total.Chunks += one.report.Chunks
		total.Reads += one.report.Reads
		for why, count := range one.report.Failures {
			total.Failures[why] += count
		}
	}
	return total
}

// ask sends one request; the time for looking at the reply is not part of its latency.
func (c *caller) ask() {
	c.report.Requests++
	started := time.Now()
	response, body, err := c.exchange()
	latency := time.Since(started)
	if c.connection != nil {
		c.report.Reads += c.connection.takeReads()
	}
	if err != nil || response.Close {
		c.hangUp()
	}
	if err == nil {
		var chunks int
		chunks, err = check(response.StatusCode, body, c.stream)
		c.report.Chunks += chunks
	}
	if err != nil {
		c.report.Failures[err.Error()]++
		return
	}
	c.report.Latencies = append(c.report.Latencies, latency.Microseconds())
}

func (c *caller) exchange() (*http.Response, []byte, error) {
	if c.connection == nil {
		raw, err := net.Dial("tcp", c.host)
		if err != nil {
			return nil, nil, errors.New("cannot connect")
		}
		c.connection = &countedConnection{Conn: raw}
		c.reader = bufio.NewReaderSize(c.connection, 64<<10)
	}
	if err := c.connection.SetDeadline(time.Now().Add(replyDeadline)); err != nil {
		return nil, nil, err
	}
	if _, err := c.connection.Write(c.request); err != nil {
		return nil, nil, errors.New("the connection broke while the request was sent")
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return nil, nil, errors.New("the connection broke before a reply")
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, nil, errors.New("the connection broke in the reply")
	}
	return response, body, nil
}

func (c *caller) hangUp() {
	if c.connection != nil {
		c.connection.Close()
		c.connection = nil
	}
}

// countedConnection counts the reads that brought something: fewer than chunks when somebody between joins them.
type countedConnection struct {
	net.Conn
	reads int
}

func (c *countedConnection) Read(into []byte) (int, error) {
	count, err := c.Conn.Read(into)
	if count > 0 {
		c.reads++
	}
	return count, err
}

func (c *countedConnection) takeReads() int {
	reads := c.reads
	c.reads = 0
	return reads
}

// requestFor is a whole request of the size that the benchmark is about.
func requestFor(host, model, token string, streaming bool) []byte {
	options := ""
	if streaming {
		options = `,"stream":true,"stream_options":{"include_usage":true}`
	}
	const frame = `{"model":%q,"messages":[{"role":"system","content":"You sort tickets."},{"role":"user","content":%q}],"temperature":0.2,"max_tokens":256%s}`
	sentence := "My invoice of last month shows the same item twice. "
	missing := requestBytes - len(fmt.Sprintf(frame, model, "", options))
	body := fmt.Sprintf(frame, model, strings.Repeat(sentence, missing/len(sentence)+1)[:missing], options)
	authorization := ""
	if token != "" {
		authorization = "Authorization: Bearer " + token + "\r\n"
	}
	return fmt.Appendf(nil, "POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\n%sContent-Type: application/json\r\nAccept: */*\r\n"+
		"User-Agent: gateway-mock\r\nContent-Length: %d\r\n\r\n%s", host, authorization, len(body), body)
}

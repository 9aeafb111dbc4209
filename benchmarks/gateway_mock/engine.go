package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// One answer, whole or in chunks. What the callers check is the text that its chunks add up to.
const (
	streamChunks = 64
	chunkPause   = 200 * time.Microsecond
	answerID     = "chatcmpl-0123456789abcdef0123456789abcdef"
	usageJSON    = `{"prompt_tokens":212,"completion_tokens":64,"total_tokens":276,"prompt_tokens_details":{"cached_tokens":0}}`
)

var (
	answerWords = func() []string {
		words := make([]string, streamChunks)
		for number := range words {
			words[number] = fmt.Sprintf("token-%02d of it ", number)
		}
		return words
	}()
	answerText = strings.Join(answerWords, "")

	chatReply   = jsonReply(chatBody())
	modelsReply = jsonReply([]byte(`{"object":"list","data":[{"id":"benchmark","object":"model","created":1700000000,"owned_by":"mock"}]}`))
	wrongReply  = []byte("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

	streamHead = []byte("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\n" +
		"Transfer-Encoding: chunked\r\n\r\n")
	streamEvents = events()
	streamEnd    = append(httpChunk([]byte("data: [DONE]\n\n")), "0\r\n\r\n"...)
)

// engine serves until it is killed; its first line of output is its URL.
func engine(arguments []string) error {
	flags := flag.NewFlagSet("engine", flag.ExitOnError)
	address := flags.String("listen", "127.0.0.1:0", "address and port; port 0 chooses one")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		return err
	}
	fmt.Printf("http://%s\n", listener.Addr())
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go serve(connection)
	}
}

// serve answers one request after the other, and keeps the connection unless the caller wants it closed.
func serve(connection net.Conn) {
	defer connection.Close()
	reader := bufio.NewReaderSize(connection, 16<<10)
	for {
		request, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		if strings.EqualFold(request.Header.Get("Expect"), "100-continue") {
			if _, err := io.WriteString(connection, "HTTP/1.1 100 Continue\r\n\r\n"); err != nil {
				return
			}
		}
		body, err := io.ReadAll(request.Body)
		if err != nil || answer(connection, request, body) != nil || request.Close {
			return
		}
	}
}

func answer(connection net.Conn, request *http.Request, body []byte) error {
	switch {
	case request.Method == http.MethodGet:
		return write(connection, modelsReply)
	case !strings.HasSuffix(request.URL.Path, "/chat/completions"):
		return write(connection, wrongReply)
	}
	var asked struct{ Stream bool }
	if err := json.Unmarshal(body, &asked); err != nil {
		return errors.Join(err, write(connection, wrongReply))
	}
	if !asked.Stream {
		return write(connection, chatReply)
	}
	return stream(connection)
}

// stream sends each event in a write of its own, as an engine does that sends tokens when they are there.
func stream(connection net.Conn) error {
	if err := write(connection, streamHead); err != nil {
		return err
	}
	for _, event := range streamEvents {
		pause(chunkPause)
		if err := write(connection, event); err != nil {
			return err
		}
	}
	return write(connection, streamEnd)
}

func write(connection net.Conn, data []byte) error {
	_, err := connection.Write(data)
	return err
}

// pause sleeps in the kernel: the timers of Go's scheduler have milliseconds while it has nothing else to do.
func pause(duration time.Duration) {
	left := syscall.NsecToTimespec(duration.Nanoseconds())
	for syscall.Nanosleep(&left, &left) == syscall.EINTR {
	}
}

func chatBody() []byte {
	return fmt.Appendf(nil, `{"id":%q,"object":"chat.completion","created":1700000000,"model":"benchmark","choices":[{"index":0,`+
		`"message":{"role":"assistant","content":%q},"finish_reason":"stop"}],"usage":%s}`,
		answerID, answerText, usageJSON)
}

// events are the chunks of an answer: 64 with text, the first of which names the role, and one with the end and the usage.
func events() [][]byte {
	const frame = `data: {"id":%q,"object":"chat.completion.chunk","created":1700000000,"model":"benchmark","choices":[{"index":0,` +
		`"delta":%s,"finish_reason":%s}]%s}` + "\n\n"
	var all [][]byte
	for number, word := range answerWords {
		delta := fmt.Sprintf(`{"content":%q}`, word)
		if number == 0 {
			delta = fmt.Sprintf(`{"role":"assistant","content":%q}`, word)
		}
		all = append(all, httpChunk(fmt.Appendf(nil, frame, answerID, delta, "null", "")))
	}
	return append(all, httpChunk(fmt.Appendf(nil, frame, answerID, "{}", `"stop"`, `,"usage":`+usageJSON)))
}

func jsonReply(body []byte) []byte {
	head := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", len(body))
	return append(head, body...)
}

func httpChunk(data []byte) []byte {
	return bytes.Join([][]byte{fmt.Appendf(nil, "%x", len(data)), data, nil}, []byte("\r\n"))
}

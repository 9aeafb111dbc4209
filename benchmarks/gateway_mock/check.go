package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

type message struct {
	Content string `json:"content"`
}

type completion struct {
	Choices []struct {
		Message      message `json:"message"`
		Delta        message `json:"delta"`
		FinishReason string  `json:"finish_reason"`
	} `json:"choices"`
	Usage *struct {
		TotalTokens int `json:"total_tokens"`
	} `json:"usage"`
}

// check says what is wrong with a reply that arrived whole, and how many chunks a stream had. Gateways may write the
// JSON anew, so what counts is the text, the end and the usage.
func check(status int, body []byte, streamed bool) (int, error) {
	if status != 200 {
		return 0, fmt.Errorf("status %d", status)
	}
	if streamed {
		return checkStream(body)
	}
	var whole completion
	if json.Unmarshal(body, &whole) != nil {
		return 0, errors.New("the reply is not JSON")
	}
	if len(whole.Choices) != 1 || whole.Choices[0].FinishReason != "stop" || whole.Usage == nil {
		return 0, errors.New("the reply lacks its choice, its end or its usage")
	}
	if whole.Choices[0].Message.Content != answerText {
		return 0, errors.New("the reply has another text")
	}
	return 0, nil
}

func checkStream(body []byte) (int, error) {
	var text []byte
	chunks, ended, done := 0, false, false
	for line := range bytes.Lines(body) {
		data, isData := bytes.CutPrefix(bytes.TrimRight(line, "\r\n"), []byte("data:"))
		if !isData {
			continue // the blank line after an event, or a comment
		}
		if done {
			return chunks, errors.New("the stream goes on after [DONE]")
		}
		if string(bytes.TrimSpace(data)) == "[DONE]" {
			done = true
			continue
		}
		var chunk completion
		if json.Unmarshal(data, &chunk) != nil {
			return chunks, errors.New("an event of the stream is not JSON")
		}
		for _, choice := range chunk.Choices {
			chunks++
			text = append(text, choice.Delta.Content...)
			ended = ended || choice.FinishReason == "stop"
		}
	}
	switch {
	case !done:
		return chunks, errors.New("the stream lacks [DONE]")
	case !ended:
		return chunks, errors.New("the stream lacks its finish reason")
	case string(text) != answerText:
		return chunks, errors.New("the stream has another text")
	}
	return chunks, nil
}

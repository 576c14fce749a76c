package consumer_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"time"

	"github.com/skylarkmq/skylark/client"
	"github.com/skylarkmq/skylark/client/consumer"
)

func Example() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	c, err := consumer.NewPush(ctx, consumer.PushOptions{
		Options: consumer.Options{
			Options:       client.Options{Namesrv: []string{"127.0.0.1:9876"}},
			Group:         "billing",
			Subscriptions: []consumer.Subscription{{Topic: "Orders", Expression: "paid || shipped"}},
			From:          consumer.FromFirst,
		},
		Listener: func(_ context.Context, messages []*client.MessageExt) error {
			for _, m := range messages {
				fmt.Printf("%s %s %s\n", m.ID(), m.Tag(), m.Body)
			}
			return nil // an error has them come again
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	<-ctx.Done()
	last, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := c.Close(last); err != nil {
		log.Fatal(err)
	}
}

func ExamplePull() {
	ctx := context.Background()
	c, err := consumer.NewPull(ctx, consumer.PullOptions{Options: consumer.Options{
		Options:       client.Options{Namesrv: []string{"127.0.0.1:9876"}},
		Group:         "reports",
		Subscriptions: []consumer.Subscription{{Topic: "Orders"}},
	}})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)
	for {
		messages, err := c.Poll(ctx)
		if err != nil {
			log.Fatal(err)
		}
		for _, m := range messages {
			fmt.Println(m.Topic, m.QueueID, m.QueueOffset, string(m.Body))
		}
	}
}

package producer_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/skylarkmq/skylark/client"
	"github.com/skylarkmq/skylark/client/producer"
)

func Example() {
	ctx := context.Background()
	p, err := producer.New(producer.Options{
		Options: client.Options{Namesrv: []string{"127.0.0.1:9876"}},
		Group:   "orders",
	})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close(ctx)
	r, err := p.Send(ctx, &client.Message{Topic: "Orders", Tag: "paid", Keys: []string{"o-1"}, Body: []byte("1 lark")})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Status, r.MsgID, r.Queue.QueueID, r.QueueOffset)
	// In a minute.
	if _, err := p.Send(ctx, &client.Message{Topic: "Orders", Body: []byte("remind"), Delay: time.Minute}); err != nil {
		log.Fatal(err)
	}
	// All messages of one customer in their order.
	if _, err := p.SendOrdered(ctx, &client.Message{Topic: "Orders", Body: []byte("2 larks")}, "customer-7"); err != nil {
		log.Fatal(err)
	}
}

func ExampleProducer_SendInTransaction() {
	ctx := context.Background()
	committed := func(key string) bool { return key != "" } // asks the database
	p, err := producer.New(producer.Options{
		Options: client.Options{Namesrv: []string{"127.0.0.1:9876"}},
		Group:   "payments",
		Check: func(_ context.Context, m *client.MessageExt) producer.TransactionState {
			if committed(m.Keys()[0]) {
				return producer.Commit
			}
			return producer.Rollback
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close(ctx)
	_, state, err := p.SendInTransaction(ctx, &client.Message{Topic: "Payments", Keys: []string{"p-1"}, Body: []byte("5")},
		func(context.Context, *client.SendResult) producer.TransactionState {
			return producer.Commit // once the database has committed
		})
	fmt.Println(state, err)
}

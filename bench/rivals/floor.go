package rivals

import (
	"context"
	"errors"
	"io"
)

// ServeFloor serves the specification's synchronous service. Nothing of it
// survives the process: a crash between the recreate and the update leaves record
// and container apart, and nobody is told. It is as fast as these steps can be.
func ServeFloor(ctx context.Context, out io.Writer) error {
	p, err := openParts(ctx)
	if err != nil {
		return err
	}
	defer p.close()
	return serveDoor(ctx, out, floor{p})
}

type floor struct{ *parts }

func (f floor) patch(ctx context.Context, gameID, version string) (Answer, error) {
	m, err := f.load(ctx, newMove(gameID, version))
	if err == nil {
		m, err = f.validate(ctx, m)
	}
	if err == nil {
		err = f.recreate(ctx, m, m.ToImage, m.Key)
	}
	if err == nil {
		err = f.update(ctx, m)
	}
	if err == nil {
		// The specification reads the record again for its answer.
		_, err = f.runtimes.Get(ctx, gameID)
	}
	if err != nil {
		return Answer{}, errors.Join(err, f.audit(context.WithoutCancel(ctx), m, err.Error()))
	}
	return m.answer(), f.audit(ctx, m, "")
}

#!/bin/sh
# Trains on the bundled catalogue and publishes, where the model store is empty; killed, it goes on where it was.
set -eu
unfinished=$MODEL_STORE/quickstart.unfinished
mkdir -p "$MODEL_STORE/versions"
if [ -n "$(ls -A "$MODEL_STORE/versions")" ] && [ ! -e "$unfinished" ]; then
  echo "the model store has versions: nothing to train"
  exit 0
fi
touch "$unfinished"
python -m training continual --data catalogue --sequence us,es,jp --preset quickstart --run quickstart &
# A shell that is process 1 passes no signal on.
trap "kill $!" TERM INT
wait $!
rm "$unfinished"

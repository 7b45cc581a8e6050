#!/bin/sh
# Makes the pack anew. $1: the data folder, $2: a folder for sources and weights, $3: the folder of the cascade brats17, for the
# test case alone (../shared/models/brats17 beside the repository where none is given; the test case is left out where there is none).
set -e
data=$(realpath "$1")
mkdir -p "$2"
work=$(realpath "$2")
cascade=$(realpath -m "${3:-$(dirname "$0")/../../../../shared/models/brats17}")
cd "$(dirname "$0")"
export OMP_NUM_THREADS=1
python train.py --data "$data" --work "$work"
python export.py --data "$data" --work "$work" --weights synthetic.pt --samples 30 --output "$work/synthetic.onnx"
python train.py --data "$data" --work "$work" --start "$work/trunk.pt" --steps 2000 --seed 2 --rate 0.0015
python export.py --data "$data" --work "$work"
python evaluate.py --data "$data" --work "$work"
if [ -d "$cascade" ]; then
  python test_case.py --data "$data" --work "$work" --weights "$cascade"
  python evaluate.py --data "$data" --work "$work" --test
fi

#!/bin/sh
# Makes the pack anew. $1: the data folder, $2: a folder for weights and the log.
set -e
data=$(realpath "$1")
mkdir -p "$2"
work=$(realpath "$2")
cd "$(dirname "$0")"
export OMP_NUM_THREADS=1
python train.py --data "$data" --work "$work" --seed 1 --rounds 5 --steps 270
python train.py --data "$data" --work "$work" --seed 2 --rounds 5 --steps 270 --start "$work/detector.pt"
python train.py --data "$data" --work "$work" --seed 3 --rounds 4 --steps 400 --start "$work/detector.pt"
python train.py --data "$data" --work "$work" --seed 4 --rounds 4 --steps 500 --start "$work/detector.pt"
python export.py --data "$data" --work "$work"
python evaluate.py --data "$data" --depth "$work/depth.npy" --choose 4
python seal.py
python evaluate.py --data "$data"
python seal.py

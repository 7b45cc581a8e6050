#!/bin/sh
# Makes the pack anew. $1: the data folder, $2: a folder for weights and the log.
set -e
cd "$(dirname "$0")"
export OMP_NUM_THREADS=1
python train.py --data "$1" --work "$2" --seed 1 --rounds 5 --steps 270
python train.py --data "$1" --work "$2" --seed 2 --rounds 5 --steps 270 --start "$2/detector.pt"
python train.py --data "$1" --work "$2" --seed 3 --rounds 4 --steps 400 --start "$2/detector.pt"
python train.py --data "$1" --work "$2" --seed 4 --rounds 4 --steps 500 --start "$2/detector.pt"
python export.py --data "$1" --work "$2"
python evaluate.py --data "$1" --depth "$2/depth.npy" --choose 4
python seal.py
python evaluate.py --data "$1"
python seal.py

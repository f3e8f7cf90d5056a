# GOT-10k's protocol: trained on its train split and nothing else, looked at on its val split; its test server scores the result.
# 200,000 pairs are 21 of each of the 9335 videos per epoch. Grey and mirrored pairs as for VID.
_base_ = 'siamrpnpp_r50_vid.py'
train_dataloader = dict(dataset=dict(store='data/got10k_train.lmdb', frame_range=100))
val_dataloader = dict(dataset=dict(benchmark='got10k', root='data/GOT-10k'))
pairs_dataloader = dict(dataset=dict(store='data/got10k_val.lmdb'))

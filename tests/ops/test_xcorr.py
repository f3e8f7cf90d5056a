import pytest
import torch
import torch.nn.functional as F

from siamrpnpp_plugin.ops.xcorr import xcorr_depthwise, xcorr_up_channel


def test_depthwise_is_one_correlation_per_sample_and_channel():
    search, template = torch.rand(2, 3, 9, 8), torch.rand(2, 3, 4, 5)
    response = xcorr_depthwise(search, template)
    assert response.shape == (2, 3, 6, 4)
    for sample in range(2):
        for channel in range(3):
            alone = F.conv2d(search[sample, channel][None, None], template[sample, channel][None, None])[0, 0]
            assert torch.allclose(response[sample, channel], alone, atol=1e-5)


def test_up_channel_is_one_convolution_per_sample():
    search, template = torch.rand(2, 3, 9, 9), torch.rand(2, 4 * 3, 5, 5)
    response = xcorr_up_channel(search, template)
    for sample in range(2):
        alone = F.conv2d(search[sample][None], template[sample].view(4, 3, 5, 5))[0]
        assert torch.allclose(response[sample], alone, atol=1e-5)


def test_depthwise_takes_channels_last_maps():
    search, template = torch.rand(2, 3, 9, 9), torch.rand(2, 3, 4, 4)
    last = xcorr_depthwise(search.contiguous(memory_format=torch.channels_last),
                           template.contiguous(memory_format=torch.channels_last))
    assert torch.allclose(last, xcorr_depthwise(search, template))


@pytest.mark.parametrize(('search', 'template', 'message'), [
    ((1, 3, 4, 9), (1, 3, 5, 5), r'\(1, 3, 4, 9\) is smaller than the template map \(1, 3, 5, 5\)'),
    ((2, 3, 9, 9), (1, 3, 5, 5), 'batch'),
    ((1, 4, 9, 9), (1, 3, 5, 5), '4 channels, template map has 3'),
])
def test_depthwise_names_what_does_not_match(search, template, message):
    with pytest.raises(ValueError, match=message):
        xcorr_depthwise(torch.zeros(search), torch.zeros(template))


def test_up_channel_names_channels_that_do_not_divide():
    with pytest.raises(ValueError, match='10 channels, not a multiple of the 3'):
        xcorr_up_channel(torch.zeros(1, 3, 9, 9), torch.zeros(1, 10, 5, 5))
